from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from dfml.drawing.graph import Arrow, Mark, Node, graph_svg
from dfml.drawing.svg import Tone, text_width, theme_css, wrap

SVG = "{http://www.w3.org/2000/svg}"
TEXTS = st.text(max_size=90)
NODES = st.lists(
    st.builds(Node, st.text(min_size=1, max_size=40), TEXTS, TEXTS, st.sampled_from(["step", "end"]),
              st.builds(Mark, st.sampled_from(Tone), TEXTS, TEXTS)),
    min_size=1, max_size=8, unique_by=lambda node: node.name,
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Arrow]]:
    nodes = draw(NODES)
    names = st.sampled_from([node.name for node in nodes])
    return nodes, draw(
        st.lists(st.builds(Arrow, names, names, TEXTS, st.booleans(), st.sampled_from(Tone)), max_size=12)
    )


@given(graphs())
def test_any_names_give_valid_xml_with_every_box_inside_the_view(graph: tuple[list[Node], list[Arrow]]) -> None:
    root = ElementTree.fromstring(graph_svg(*graph, title="any"))
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    boxes = root.findall(f"{SVG}g[@class='dfml-node']/{SVG}rect")
    assert len(root.findall(f"{SVG}g[@class='dfml-node']")) == len(graph[0])
    for box in boxes:
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


@given(graphs())
def test_every_text_fits_into_its_box(graph: tuple[list[Node], list[Arrow]]) -> None:
    root = ElementTree.fromstring(graph_svg(*graph, title="any"))
    for node in root.findall(f"{SVG}g[@class='dfml-node']"):
        box = node.findall(f"{SVG}rect")[0].attrib
        left, top = float(box["x"]), float(box["y"])
        for words in node.findall(f"{SVG}text"):
            half = text_width(words.text or "", float(words.attrib["font-size"])) / 2
            middle, base = float(words.attrib["x"]), float(words.attrib["y"])
            assert left <= middle - half + 0.1
            assert middle + half <= left + float(box["width"]) + 0.1
            assert top < base < top + float(box["height"])


def test_badge_tone_and_note_are_in_the_picture() -> None:
    svg = graph_svg([Node("a", "a", mark=Mark(Tone.BAD, "suspect 1", "p = 0.001"))], [], title="t")
    assert "suspect 1" in svg
    assert "<title>p = 0.001</title>" in svg
    assert "--dfml-bad-fill" in svg


def test_arrows_between_the_same_boxes_are_drawn_once_with_both_labels() -> None:
    root = ElementTree.fromstring(
        graph_svg([Node("a", "a"), Node("b", "b")], [Arrow("a", "b", "x"), Arrow("a", "b", "y")], title="t")
    )
    assert len(root.findall(f"{SVG}path[@class='dfml-edge']")) == 1
    assert [words.text for words in root.findall(f"{SVG}text")] == ["x, y"]


def test_a_trigger_is_dashed_and_a_loop_is_drawn() -> None:
    svg = graph_svg([Node("a", "a")], [Arrow("a", "a", dashed=True)], title="t")
    assert svg.count("stroke-dasharray") == 1


def test_names_are_broken_at_their_joints() -> None:
    assert wrap("calculate_complex_claim_payout", 26) == ("calculate_complex_claim_", "payout")
    assert wrap("AWS::StepFunctions::StateMachine", 26) == ("AWS::StepFunctions::", "StateMachine")
    assert wrap("petlistadoptions_AWS::ECS::Fargate", 26) == ("petlistadoptions_AWS::", "ECS::Fargate")
    assert wrap("SimpleNotificationServiceQueue", 26) == ("SimpleNotificationService", "Queue")
    assert wrap("x" * 60, 26) == ("x" * 26, "x" * 26, "x" * 8)


@given(st.text(max_size=200), st.integers(4, 40))
def test_wrapping_loses_no_letter_and_keeps_the_length(words: str, n_letters: int) -> None:
    lines = wrap(words, n_letters)
    assert "".join(lines) == words
    assert all(len(line) <= n_letters for line in lines)


def test_the_theme_has_light_and_dark_colours() -> None:
    css = theme_css(".x")
    assert css.startswith(".x{--dfml-surface:")
    assert "prefers-color-scheme: dark" in css
