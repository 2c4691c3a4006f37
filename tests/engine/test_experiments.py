from collections import Counter

import orjson
import pytest

from dfml import headers as h
from dfml.errors import NotFoundError

API = "apiVersion: mlops.seldon.io/v1alpha1\n"
STEP = "{{steps: [{{name: {0}}}], output: {{steps: [{0}]}}}}"


def experiment(name, **spec):
    return f"{API}kind: Experiment\nmetadata: {{name: {name}}}\nspec: {orjson.dumps(spec).decode()}\n"


def two_pipelines(texts):
    return [
        texts.model("double", "double", inline=True),
        texts.model("add100", "add100", inline=True),
        texts.pipeline("tens", STEP.format("double")),
        texts.pipeline("more", STEP.format("add100")),
    ]


async def ask_many(calls, pipeline, n_requests, **options):
    answers = [await calls.ask(pipeline, {"x": [2]}, **options) for _ in range(n_requests)]
    return Counter(answer["OUT"][0] for answer in answers)


async def test_a_pipelines_requests_are_shared_among_the_candidates(stack, texts) -> None:
    async with stack() as calls:
        shares = experiment(
            "e", resourceType="pipeline", default="tens", candidates=[{"name": "tens"}, {"name": "more"}]
        )
        calls.load(*two_pipelines(texts), shares)
        answers = await ask_many(calls, "tens", 60)
    assert set(answers) == {4, 102}


async def test_an_experiment_is_called_by_its_own_name(stack, texts) -> None:
    async with stack() as calls:
        calls.load(*two_pipelines(texts), experiment("e", resourceType="pipeline", candidates=[{"name": "more"}]))
        assert await ask_many(calls, "e.experiment", 5) == {102: 5}
        with pytest.raises(NotFoundError, match=r"no experiment 'f'; loaded are: e"):
            calls.submit("f.experiment", {"x": [2]})


async def test_the_route_sent_back_is_sticky(stack, texts) -> None:
    async with stack() as calls:
        shares = experiment("e", resourceType="pipeline", candidates=[{"name": "tens"}, {"name": "more"}])
        calls.load(*two_pipelines(texts), shares)
        first = calls.submit("e.experiment", {"x": [2]})
        route = (("x-seldon-route", first.route.encode()),)
        again = [calls.submit("e.experiment", {"x": [2]}, headers=route).route for _ in range(20)]
    assert set(again) == {first.route}


async def test_the_route_of_a_models_experiment_is_sticky_too(stack, texts) -> None:
    async with stack() as calls:
        shares = experiment("e", default="double", candidates=[{"name": "double"}, {"name": "add100"}])
        calls.load(*two_pipelines(texts), shares)
        routes = [calls.submit("tens", {"x": [2]}, f"r{number}").route for number in range(40)]
        assert set(routes) == {":double:", ":add100:"}
        for route, answer in ((":double:", 4), (":add100:", 102)):
            sent_back = (("x-seldon-route", route.encode()),)
            assert await ask_many(calls, "tens", 5, headers=sent_back) == {answer: 5}


async def test_a_route_names_the_candidates_of_pipeline_and_step(stack, texts) -> None:
    async with stack() as calls:
        models = experiment("e", default="double", candidates=[{"name": "add100"}, {"name": "double", "weight": 0}])
        whole = experiment("f", resourceType="pipeline", candidates=[{"name": "tens"}])
        calls.load(*two_pipelines(texts), models, whole)
        assert calls.submit("f.experiment", {"x": [2]}).route == ":tens::add100:"


async def test_a_mirrored_request_names_its_original_and_answers_nobody(stack, texts, wait) -> None:
    async with stack() as calls:
        shares = experiment(
            "e",
            resourceType="pipeline",
            default="tens",
            candidates=[{"name": "tens"}],
            mirror={"name": "more", "percent": 100},
        )
        calls.load(*two_pipelines(texts), shares)
        assert await calls.ask("tens", {"x": [2]}, "original") == {"OUT": [4]}
        answers = await wait(lambda: calls.records("pipeline.more.outputs"))
    assert [answer.header(h.MIRROR_OF) for answer in answers] == [b"original"]


async def test_unloading_an_experiment_gives_the_pipeline_its_requests_back(stack, texts) -> None:
    async with stack() as calls:
        shares = experiment(
            "e", resourceType="pipeline", default="tens", candidates=[{"name": "tens", "weight": 0}, {"name": "more"}]
        )
        calls.load(*two_pipelines(texts), shares)
        assert await ask_many(calls, "tens", 5) == {102: 5}
        calls.stack.control.unload("Experiment", "e")
        calls.stack.loop.catch_up()
        assert await ask_many(calls, "tens", 5) == {4: 5}


async def test_a_step_is_shared_among_models_and_keeps_its_place_in_the_pipeline(stack, texts) -> None:
    async with stack() as calls:
        calls.load(
            *two_pipelines(texts),
            experiment("e", default="double", candidates=[{"name": "double", "weight": 0}, {"name": "add100"}]),
        )
        assert await ask_many(calls, "tens", 5) == {102: 5}


async def test_a_mirrored_models_answer_has_its_fate(stack, texts, wait) -> None:
    async with stack() as calls:
        shares = experiment(
            "e", default="double", candidates=[{"name": "double"}], mirror={"name": "add100", "percent": 100}
        )
        calls.load(*two_pipelines(texts), shares)
        assert await ask_many(calls, "tens", 1) == {4: 1}
        fates = await wait(lambda: calls.records("lineage.fates"))
    assert [orjson.loads(fate.value)["reason"] for fate in fates] == ["mirror"]
