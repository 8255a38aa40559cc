from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import pytest

from volant.core.records import Feedback
from volant.errors import BadInput, Failure
from volant.store import FeedbackWriter


def say(record, **values):
    return Feedback(record.id, "correction", "no", "ann", **values)


def test_submissions_are_stored_in_their_order(store, logged):
    writer = FeedbackWriter(store)
    futures = [writer.submit([say(record)]) for record in logged]
    seqs = [future.result(10)[0].seq for future in futures]
    assert seqs == sorted(seqs)
    writer.close()
    assert store.counts()["feedback"] == len(logged)


def test_a_bad_submission_fails_alone(store, logged):
    writer = FeedbackWriter(store)
    good = writer.submit([say(logged[0])])
    unknown = writer.submit([say(logged[0]), Feedback("nobody", "rating", "up", "ann")])
    malformed = writer.submit([Feedback(logged[0].id, "", 1, "ann")])
    other = writer.submit([say(logged[1])])
    assert len(good.result(10)) == len(other.result(10)) == 1
    with pytest.raises(BadInput) as caught:
        unknown.result(10)
    assert caught.value.code == "prediction-unknown"
    with pytest.raises(BadInput):
        malformed.result(10)
    writer.close()
    assert store.counts()["feedback"] == 2


def test_a_replay_in_the_same_group_is_one_row(store, logged):
    writer = FeedbackWriter(store)
    with store._database.write():  # holds the writer up, so that the rest becomes one group
        futures = [writer.submit([say(logged[0], idempotency_key="k")]) for _ in range(20)]
        time.sleep(0.05)
    receipts = [future.result(10)[0] for future in futures]
    writer.close()
    assert len({receipt.id for receipt in receipts}) == 1
    assert [receipt.duplicate for receipt in receipts] == [False] + [True] * 19


def test_many_callers_share_transactions(sqlite_store, predict):
    records = predict(400)
    sqlite_store.prediction_log().append(records)
    sqlite_store.index_segments()
    writer = FeedbackWriter(sqlite_store)
    transactions = []
    write = sqlite_store._database.write
    sqlite_store._database.write = lambda: transactions.append(1) or write()
    futures = []

    def caller(some):
        futures.extend([writer.submit([say(record)]) for record in some])

    threads = [threading.Thread(target=caller, args=(records[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wait(futures, 20).not_done
    writer.close()
    assert len(transactions) < 400
    assert sqlite_store.counts()["feedback"] == 400


def test_a_full_queue_refuses(sqlite_store, predict):
    record = predict()[0]
    sqlite_store.prediction_log().append([record])
    sqlite_store.index_segments()
    writer = FeedbackWriter(sqlite_store, queue_items=3)
    with sqlite_store._database.write():
        accepted = [writer.submit([say(record)])]
        time.sleep(0.1)  # the writer has taken it and waits for its turn
        accepted += [writer.submit([say(record)]) for _ in range(3)]
        with pytest.raises(Failure) as caught:
            writer.submit([say(record)])
        assert caught.value.code == "store-failed"
    assert all(len(future.result(10)) == 1 for future in accepted)
    writer.close()
    assert sqlite_store.counts()["feedback"] == len(accepted)


def test_closing_stores_what_was_submitted(store, logged):
    writer = FeedbackWriter(store)
    futures = [writer.submit([say(record)]) for record in logged]
    writer.close()
    assert all(future.done() for future in futures)
    with pytest.raises(Failure, match="not taken"):
        writer.submit([say(logged[0])])


def test_a_store_that_fails_fails_its_group_and_the_writer_lives_on(sqlite_store, predict):
    record = predict()[0]
    sqlite_store.prediction_log().append([record])
    writer = FeedbackWriter(sqlite_store)
    kept = sqlite_store.add_feedback_groups

    def full(_groups):
        raise Failure("full", code="store-full")

    sqlite_store.add_feedback_groups = full
    with pytest.raises(Failure, match="full"):
        writer.submit([say(record)]).result(10)
    sqlite_store.add_feedback_groups = kept
    assert writer.submit([say(record)]).result(10)
    writer.close()
