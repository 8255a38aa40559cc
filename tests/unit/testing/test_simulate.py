from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from volant.testing.simulate import Searcher, Service, User, clicks, crowd, simulate
from volant.testing.simulate.users import says

TRUTHS = [str(i % 10) for i in range(300)]
ROWS = [{"x": i} for i in range(300)]


@contextmanager
def service(guess=lambda row: "1"):
    """A service of the same shape; gives its address and the requests that it saw."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append((self.path, body))
            if self.path == "/v1/predict":
                answer = {"predictions": [{"id": f"p{r['x']}", "label": guess(r)} for r in body["rows"]]}
            elif self.path == "/v1/feedback":
                answer = {"feedback": []}
            else:
                return self.send_error(404)
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            return self.wfile.write(text)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_every_row_is_seen_once_and_answered():
    with service() as (url, seen):
        session = simulate(url, ROWS, TRUTHS, crowd(5), batch=70)
    assert [path for path, _ in seen].count("/v1/predict") == 5
    told = [item for path, body in seen if path == "/v1/feedback" for item in body["feedback"]]
    assert [item["prediction_id"] for item in told] == [f"p{i}" for i in range(300)]
    assert [item["value"] for item in told] == TRUTHS
    assert session.wrong == 0
    assert session.corrections == 270


def test_the_same_seed_says_the_same():
    with service() as (url, _):
        users = crowd(30, stubborn=0.1, malicious=0.1, late=0.1, slip=0.3)
        first, again, other = (simulate(url, ROWS, TRUTHS, users, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_slips_are_a_share_of_the_corrections_only():
    with service(lambda row: TRUTHS[row["x"]] if row["x"] % 2 else "0") as (url, _):
        session = simulate(url, ROWS, TRUTHS, crowd(10, slip=0.2))
    assert all(one.value == one.truth for one in session.said if one.predicted == one.truth)
    assert 0.08 < session.wrong / sum(one.predicted != one.truth for one in session.said) < 0.35


@pytest.mark.parametrize(("habit", "expected"), [("stubborn", "7"), ("malicious", None)])
def test_habits(habit, expected):
    with service() as (url, _):
        said = simulate(url, ROWS, TRUTHS, [User("eve", habit, favourite="7")]).said
    for one in said:
        assert one.value == (expected or str((int(one.truth) + 1) % 10))


def test_late_users_answer_after_all_others():
    with service() as (url, seen):
        users = [User("ann"), User("bob", "late")]
        session = simulate(url, ROWS, TRUTHS, users, batch=50)
        actors = [i["actor"] for path, body in seen if path == "/v1/feedback" for i in body["feedback"]]
    assert actors == sorted(actors)
    assert {one.user for one in session.said} == {"ann", "bob"}


def test_late_answers_can_be_kept_back():
    with service() as (url, seen):
        session = simulate(url, ROWS, TRUTHS, [User("bob", "late")], send_late=False)
    assert not session.said
    assert len(session.pending) == 300
    assert all(path == "/v1/predict" for path, _ in seen)


def test_a_refusal_is_not_passed_over_in_silence():
    with service() as (url, _), pytest.raises(ConnectionError, match="404"):
        Service(url).call("POST", "/nowhere", {})


def test_a_crowd_has_the_shares_that_were_asked_for():
    habits = [user.habit for user in crowd(100, stubborn=0.03, malicious=0.02, late=0.1)]
    assert [habits.count(h) for h in ("stubborn", "malicious", "late", "honest")] == [3, 2, 10, 85]


def test_simulated_users_do_without_the_code_that_they_test():
    code = "import sys, volant.testing.simulate; print([m for m in sys.modules if m.startswith('volant')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    own = ("volant.testing.simulate",)
    names = [name for name in ast.literal_eval(shown.strip()) if name not in ("volant", "volant.testing")]
    assert [name for name in names if not name.startswith(own)] == []


def answered(user, *, label="1", truth="2", known=("1", "2", "3"), seed=0, given=0, case="p"):
    answer = {"id": case, "label": label, "probabilities": {"1": 0.6, "2": 0.3, "3": 0.1}}
    return says(user, answer, truth, known, random.Random(seed), given)


def test_lazy_people_agree_with_whatever_they_see():
    assert {answered(User("ann", "lazy", slip=1.0), seed=s) for s in range(20)} == {"1"}
    assert {answered(User("ann", "lazy", slip=0.0), seed=s) for s in range(20)} == {"2"}


def test_sloppy_people_slip_where_the_service_is_right_too():
    said = [answered(User("ann", "sloppy", slip=0.2), label="2", seed=s) for s in range(500)]
    assert 0.1 < sum(value != "2" for value in said) / 500 < 0.3


def test_people_biased_by_position_find_the_truth_the_less_the_further_down_it_stands():
    user = User("ann", "biased")
    found = {truth: sum(answered(user, truth=truth, seed=s) == truth for s in range(500)) for truth in "123"}
    assert found["1"] == 500 > found["2"] > found["3"] > 0


def test_a_group_agrees_on_its_lies_and_is_honest_elsewhere():
    plot = [User(f"eve{i}", "colluding", slip=0.3, group="the plot") for i in range(3)]
    said = [{answered(user, case=f"p{i}") for user in plot} for i in range(400)]
    assert all(len(values) == 1 for values in said)
    assert 0.2 < sum(values != {"2"} for values in said) / 400 < 0.4


def test_drifting_people_turn_after_a_while():
    user = User("ann", "drifting", turns=5)
    assert [answered(user, given=n) for n in (0, 4, 5, 9)] == ["2", "2", "3", "3"]


def test_several_people_may_see_one_row():
    with service() as (url, seen):
        simulate(url, ROWS[:10], TRUTHS[:10], crowd(5), voices=3)
    items = [i for path, body in seen if path == "/v1/feedback" for i in body["feedback"]]
    assert len(items) == 30
    assert all(len({i["actor"] for i in items if i["prediction_id"] == f"p{n}"}) == 3 for n in range(10))


def test_what_stands_on_top_is_clicked_more_whatever_it_is():
    chance, counts = random.Random(0), [0, 0, 0]
    for _ in range(3000):
        for place, clicked in enumerate(clicks(Searcher(), [0, 1, 2], [0.5, 0.5, 0.5], chance)):
            counts[place] += clicked
    assert counts[0] > 1.5 * counts[1] > 1.5 * counts[2]


def test_several_labels_are_seen_as_one_text():
    answer = {"id": "1", "labels": ["b", "a"], "probabilities": {"a": 0.9, "b": 0.8, "c": 0.1}}
    known = ["[]", "a|b", "c"]
    chance = random.Random(0)
    assert [says(User("u", h), answer, "a|b", known, chance, 0) for h in ("honest", "malicious")] == ["a|b", "c"]
    assert says(User("u", "biased"), answer, "c", known, chance, 0) == "a|b"
    assert says(User("u", "lazy", slip=1.0), {**answer, "labels": []}, "c", known, chance, 0) == "[]"
