"""The product file on decisions, class weights and fairness: what contradicts itself is refused."""

import pytest

from volant.core.product import parse
from volant.errors import BadInput

LEAST = 'version = 1\nname = "churn"\n[task]\ntype = "classify"\ntarget = "churned"\n[data]\nsource = "c.csv"\n'


def test_costs_are_a_table_of_tables():
    file = parse(LEAST + "[decide]\ncosts.yes.no = 5\n[decide.costs.no]\nyes = 0.5\n")
    assert file.decide.costs == {"yes": {"no": 5.0}, "no": {"yes": 0.5}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[decide]\nthreshold = 0.4\nmetric = 'f1'\n", "nothing to choose"),
        ("[decide]\nminimum.recall = 0.9\n", "minimum goes with metric"),
        ("[decide]\nmetric = 'precision'\n", "add minimum.recall"),
        ("[decide]\nmetric = 'recall'\nminimum.recall = 0.5\n", "add minimum.precision"),
        ("[decide]\nmetric = 'auc'\n", "input should be"),
        ("[decide]\ncosts.yes.no = 'dear'\n", "valid number"),
        ("[decide]\ncosts.yes.no = nan\n", "finite"),
        ("[decide]\nthreshold = 1\n", "less than 1"),
        ("[train]\nclass_weight = 'even'\n", "balanced"),
        ("[train]\nclass_weight = { yes = 0 }\n", "greater than 0"),
        ("[fairness]\nmitigation = 'threshold'\n", "needs a limit"),
        ("[fairness]\nsure = true\n", "needs a limit"),
        ("[fairness]\ncolumns = ['a', 'a']\n", "named twice"),
        ("[fairness]\nlimit = -0.1\n", "greater than or equal to 0"),
        ("[fairness]\nmetric = 'parity'\n", "demographic_parity_difference"),
    ],
)
def test_contradictions_are_refused_with_their_line(text, said):
    with pytest.raises(BadInput) as bad:
        parse(LEAST + text)
    assert said in " ".join(t.what for t in bad.value.troubles)
    assert all("line " in t.where for t in bad.value.troubles)
    assert not any("[" in t.where for t in bad.value.troubles)
