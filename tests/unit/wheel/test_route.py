"""Routes: what of the traffic a candidate may get."""

from __future__ import annotations

from dataclasses import replace

import pytest

from volant.core.records import Field, Verdict
from volant.errors import VolantError
from volant.testing import handmade
from volant.wheel import route
from volant.wheel.context import work_on
from volant.wheel.history import promote, rollback


@pytest.fixture
def context(tmp_path):
    product = handmade.make_served_product(tmp_path)
    with work_on(product) as opened:
        yield opened


def candidate(context, center=60.0, *, passed=True, contract=None):
    digest = handmade.write_release(context.product.home, handmade.pipeline(center), contract)
    context.store.add_candidate(digest, None, None, 1, {})
    if passed is not None:
        context.store.add_verdict(Verdict(digest, None, passed, ("better" if passed else "worse",)))
    return digest


def shown(context):
    return [(one.kind, one.release, one.share, one.policy) for one in route.routes(context).routes]


def code_of(call, *arguments, **more):
    with pytest.raises(VolantError) as caught:
        call(*arguments, **more)
    return caught.value.code


def test_a_canary_and_a_split_share_the_traffic_with_the_champion(context):
    champion = context.store.champion().release
    first, second, third = (candidate(context, center) for center in (50.0, 60.0, 70.0))
    route.canary(context, first[:10], 0.1, promote_after="30m")
    route.split(context, second, 0.5, policy="offer")
    route.shadow(context, third)
    assert shown(context) == [
        ("champion", champion, 0.4, "champion"),
        ("canary", first, 0.1, "canary"),
        ("split", second, 0.5, "offer"),
        ("shadow", third, 0.0, "shadow"),
    ]
    assert context.store.deployments()[1].facts["promote_after"] == 1800.0
    assert route.end(context, second)[0].kind == "end"
    assert len(shown(context)) == 3
    assert len(route.end(context)) == 2
    assert shown(context) == [("champion", champion, 1.0, "champion")]


def test_only_what_the_gate_has_let_pass_answers_users(context):
    for passed in (False, None):
        digest = candidate(context, 50.0 if passed is None else 60.0, passed=passed)
        assert code_of(route.canary, context, digest, 0.1) == "gate-refused"
        assert code_of(route.split, context, digest, 0.1) == "gate-refused"
        route.shadow(context, digest)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5])
def test_a_share_lies_between_nothing_and_all(context, share):
    assert code_of(route.canary, context, candidate(context), share) == "usage"


def test_shares_leave_something_to_the_champion(context):
    first, second = candidate(context, 50.0), candidate(context, 60.0)
    route.split(context, first, 0.6)
    assert code_of(route.canary, context, second, 0.4) == "usage"
    route.split(context, first, 0.3)
    route.canary(context, second, 0.4)


def test_who_takes_other_inputs_cannot_answer_the_same_requests(context):
    other = replace(handmade.signature(2), inputs=(Field("age", "number", True, 1.0),))
    assert code_of(route.shadow, context, candidate(context, contract=other)) == "route-unfit"


def test_the_champion_and_the_unknown_have_no_route(context):
    champion = context.store.champion().release
    context.store.add_candidate(champion, None, None, 1, {})
    assert code_of(route.shadow, context, champion) == "route-unfit"
    assert code_of(route.shadow, context, "f" * 12) == "no-candidate"
    assert code_of(route.end, context) == "route-unfit"
    assert code_of(route.split, context, candidate(context), 0.1, policy="champion") == "usage"
    assert code_of(route.canary, context, candidate(context, 70.0), 0.1, promote_after="soon") == "usage"


def test_a_new_champion_ends_all_routes_and_going_back_brings_none(context):
    first, second = candidate(context, 50.0), candidate(context, 60.0)
    champion = context.store.champion().release
    route.canary(context, first, 0.1)
    promote(context, second)
    assert shown(context) == [("champion", second, 1.0, "champion")]
    assert rollback(context).release == champion
    assert shown(context) == [("champion", champion, 1.0, "champion")]


def test_what_passes_the_gate_may_begin_as_a_canary(tmp_path):
    from volant.wheel.history import deploy_verdict

    text = handmade.FILE_TEXT + '[serve.rollout]\nshare = 0.2\nafter = "10m"\n'
    product = handmade.make_served_product(tmp_path, text)
    with work_on(product) as context:
        digest = candidate(context, passed=None)
        champion = context.store.champion().release
        assert deploy_verdict(context, Verdict(digest, champion, True, ("better",)), 1, champion) == "canary"
        assert shown(context)[1] == ("canary", digest, 0.2, "canary")
        assert context.store.deployments()[-1].facts["promote_after"] == 600.0
