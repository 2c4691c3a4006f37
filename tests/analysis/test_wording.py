"""A localisation in words."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Localisation, Summary, Suspect
from dfml_analysis.report.words import spell_headline
from dfml_analysis.verdict import Verdict
from dfml_analysis.wording import spell_certainty, spell_p_is, spell_unit


def _suspect(variable: str, kind: Kind, before: Summary, after: Summary) -> Suspect:
    facts = {"test": "mean", "before": before, "after": after, "attribution": 3.5}
    return Suspect(variable.split(".", maxsplit=1)[0], variable, kind, 0.9, 1e-30, **facts)  # type: ignore[arg-type]


def _always(mean: float) -> Summary:
    return Summary(600, 600, mean, 1.0, mean)


CASES = {
    "Fault in classifier: it answers `complex` less often than before (27% -> 0%) for the same inputs.": _suspect(
        "classifier.outputs.complex",
        Kind.PRESENCE,
        Summary(600, 162, 5.0, 1.0, 5.0),
        Summary(600, 0, math.nan, math.nan, math.nan),
    ),
    "Fault in split: it answers less often than before (100% -> 85%) for the same inputs.": _suspect(
        "split.presence", Kind.PRESENCE, _always(1.0), _always(0.85)
    ),
    "Fault in split: it fails more often than before (0% -> 15%).": _suspect(
        "split.error", Kind.ERROR, _always(0.0), _always(0.15)
    ),
    "Fault in payout: it is slower than before (0.02 ms -> 26 ms).": _suspect(
        "payout.latency_ms", Kind.LATENCY, _always(0.02), _always(26.2)
    ),
    "Fault in payout: its `sum` changed (mean 12 -> 15,000) for the same inputs.": _suspect(
        "payout.outputs.sum", Kind.VALUE, _always(12.0), _always(15000.0)
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_a_fault_is_told_in_one_clear_sentence(sentence: str) -> None:
    assert Localisation(Verdict.FAULT, (CASES[sentence],), "dfml", 0, 0.1).sentence == sentence


def test_a_changed_input_is_told_and_that_no_step_changed() -> None:
    suspect = _suspect("claims.inputs.amount", Kind.INPUT, _always(1.0), _always(9.0))
    found = Localisation(Verdict.INPUT_SHIFT, (suspect,), "dfml", 0, 0.1)
    assert found.sentence == "The input changed: `amount` (mean 1 -> 9). No step changed."


def test_further_suspects_are_named_and_the_rest_counted() -> None:
    others = [_suspect(f"step{n}.outputs.x", Kind.VALUE, _always(0.0), _always(1.0)) for n in range(5)]
    found = Localisation(Verdict.FAULT, (CASES[next(iter(CASES))], *others), "dfml", 0, 0.1)
    assert found.sentence.endswith("Also suspect: `x` of step0, `x` of step1, `x` of step2 and 2 more.")


def test_suspects_that_are_only_ranked_are_not_accused() -> None:
    first = CASES[next(iter(CASES))]
    ranked = replace(_suspect("step1.outputs.x", Kind.VALUE, _always(0.0), _always(1.0)), p_value=1.0)
    found = Localisation(Verdict.FAULT, (first, ranked), "dfml", 0, 0.1)
    assert "Also suspect" not in found.sentence
    assert found.accused == (first,)
    assert spell_headline(found) == "classifier behaves differently."


def test_long_names_stay_readable_in_eighty_columns() -> None:
    suspect = _suspect("insurance-claims.outputs.calculated_payout", Kind.VALUE, _always(2e6), _always(4e6))
    console = Console(width=80)
    with console.capture() as printed:
        console.print(Localisation(Verdict.FAULT, (suspect,), "dfml", 0, 0.1))
    assert "calculated_payout" in printed.get()
    assert "2,000,000" in printed.get()
    assert "…" not in printed.get()
    assert max(map(len, printed.get().splitlines())) <= 80


def test_the_elements_of_a_vector_are_named_by_their_places() -> None:
    suspect = _suspect("scorer.outputs.features[3]", Kind.VALUE, _always(1.0), _always(9.0))
    suspect = replace(suspect, also=("scorer.outputs.features[5]", "scorer.outputs.other[7]"))
    found = Localisation(Verdict.FAULT, (suspect,), "dfml", 0, 0.1)
    assert found.sentence == (
        "Fault in scorer: elements 3 and 5 of its `features` changed (mean 1 -> 9) for the same inputs."
    )


def test_of_a_long_tensor_it_is_said_what_of_it_changed() -> None:
    suspect = _suspect("scorer.outputs.pixels.std", Kind.VALUE, _always(1.0), _always(9.0))
    found = Localisation(Verdict.FAULT, (suspect,), "dfml", 0, 0.1)
    assert "the spread of its `pixels` changed" in found.sentence


@pytest.mark.parametrize(
    ("p_value", "word"),
    [
        (0.0, "certain: p < 10⁻³⁰⁰"),
        (1e-30, "certain: p = 1·10⁻³⁰"),
        (1e-5, "very likely: p = 1·10⁻⁵"),
        (0.005, "likely: p = 0.005"),
        (0.04, "weak evidence: p = 0.04"),
    ],
)
def test_how_sure_is_said_in_a_word(p_value: float, word: str) -> None:
    assert spell_certainty(p_value) == word


def test_units_are_told_in_words() -> None:
    told = [spell_unit(unit) for unit in ("mean", "p95", "over 250", "absent")]
    assert told == ["the mean", "the 95 % quantile", "the share over 250", "the absent share"]


@pytest.mark.parametrize(("p_value", "said"), [(0.0321, "p = 0.032"), (3e-12, "p = 3·10⁻¹²"), (0.0, "p < 10⁻³⁰⁰")])
def test_a_p_value_below_all_numbers_is_not_said_to_equal_one(p_value: float, said: str) -> None:
    assert spell_p_is(p_value) == said


def test_the_table_of_suspects_leaves_out_what_says_nothing_new() -> None:
    def headings(*variables: str) -> str:
        suspects = tuple(Suspect("y", variable, Kind.VALUE, 1.0, p_value=0.001) for variable in variables)
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(Localisation(Verdict.FAULT, suspects, "dfml", 0, 0.0, "ok"))
        return next(line for line in console.export_text().splitlines() if "step" in line)

    assert headings("y").split() == ["step", "kind", "p"]
    assert headings("y", "y.outputs.score").split() == ["step", "variable", "kind", "p"]
