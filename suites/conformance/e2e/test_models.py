"""The catalog of models, as OpenAI's clients read it."""

import openai
import pytest

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]


async def test_list_holds_exactly_the_served_model(client, model_name):
    models = [model.id async for model in client.models.list()]
    assert models == [model_name]


async def test_model_entry_has_the_fields_that_clients_read(frontend):
    response = await frontend.http.get("/v1/models")
    assert response.status_code == 200
    document = response.json()
    assert document["object"] == "list"
    (entry,) = document["data"]
    assert entry["id"] == frontend.model
    assert entry["object"] == "model"
    assert isinstance(entry["created"], int)
    assert entry["created"] > 0


async def test_one_model_can_be_retrieved(client, model_name):
    model = await client.models.retrieve(model_name)
    assert model.id == model_name


async def test_retrieving_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("no-such-model")


async def test_context_window_is_the_one_that_workers_were_given(frontend, testbed_profile):
    (entry,) = (await frontend.http.get("/v1/models")).json()["data"]
    assert entry["context_window"] == testbed_profile.number("context_window")


async def test_readiness_of_a_model_counts_its_workers(frontend, testbed_profile):
    response = await frontend.http.get(f"/v1/models/{frontend.model}/ready")
    assert response.status_code == 200
    document = response.json()
    assert document["ready"] is True
    kinds = [kind for namespace in document["namespaces"].values() for kind in namespace["worker_types"].values()]
    assert sum(kind["workers"] for kind in kinds) == testbed_profile.number("workers")


async def test_readiness_of_an_unknown_model_is_not_found(frontend):
    response = await frontend.http.get("/v1/models/no-such-model/ready")
    assert response.status_code == 404
