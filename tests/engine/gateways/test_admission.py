"""Which partition number a request goes to."""

from dfml_engine.gateways.admission import number_for

IDS = [f"r{number}" for number in range(200)]


def test_a_request_goes_to_the_same_number_again_while_that_is_owned_whatever_else_is() -> None:
    homes = {request: number_for(request, range(4), 4) for request in IDS}
    assert set(homes.values()) == {0, 1, 2, 3}
    stays = [request for request in IDS if homes[request] in {0, 2}]
    assert all(number_for(request, [0, 2], 4) == homes[request] for request in stays)


def test_a_request_whose_number_is_anothers_goes_to_one_that_is_owned() -> None:
    assert {number_for(request, [1, 3], 4) for request in IDS} == {1, 3}
