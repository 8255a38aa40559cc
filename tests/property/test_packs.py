"""Whatever is put into packs, swept and logged, the store behaves like a dictionary of bytes by their hashes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from volant.store.media_log import MediaLog
from volant.store.pack import hash_of
from volant.store.packs import Packs

FILES = st.binary(max_size=40)


class Media(RuleBasedStateMachine):
    """A folder of packs beside the dictionary that it should be."""

    @initialize()
    def begin(self):
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.packs, self.other = Packs(self.folder), Packs(self.folder)
        self.log = MediaLog(self.folder)
        self.packed: dict[str, bytes] = {}
        self.live: dict[str, bytes] = {}

    @rule(files=st.lists(FILES, max_size=6), commit=st.booleans())
    def write(self, files, commit):
        with self.packs.writing() as writer:
            names = [writer.add(data) for data in files]
            if commit:
                writer.commit()
        assert names == [hash_of(data) for data in files]
        if commit:
            self.packed |= dict(zip(names, files, strict=True))

    @rule(data=FILES)
    def receive(self, data):
        self.live[self.log.keep(data)] = data

    @rule()
    def restart(self):
        self.log.close()
        self.other.pack_segments()
        self.packed, self.live = self.packed | self.live, {}
        self.log = MediaLog(self.folder)

    @rule(chosen=st.integers(0, 255))
    def sweep(self, chosen):
        self.other.rewrite(lambda digests: digests[:, 0] <= chosen)
        self.packed = {name: data for name, data in self.packed.items() if int(name[:2], 16) <= chosen}

    @invariant()
    def all_is_found(self):
        if not hasattr(self, "packs"):
            return
        known = {**self.packed, **self.live}
        names = [*known, "0" * 63 + "1"]
        for packs in (self.packs, self.other):
            assert packs.has(names).tolist() == [True] * len(known) + [False]
            assert packs.read_all(names) == [*known.values(), None]
        digests = np.unique(self.packs.all_digests(), axis=0) if self.packed else np.zeros((0, 32))
        assert len(digests) == len(self.packed)

    def teardown(self):
        if hasattr(self, "log"):
            self.log.close()
            self.place.cleanup()


TestMedia = Media.TestCase
TestMedia.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
