"""Registration in etcd: workers announce themselves on leases, and what is announced is what serves."""

import asyncio

import pytest

from deployment.waiting import eventually

pytestmark = [
    pytest.mark.pre_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.core,
    pytest.mark.needs(discovery="etcd"),
]


async def test_every_worker_is_registered(registry, fleet):
    assert {await worker.instance() for worker in fleet} == set(await registry.generating())


async def test_frontend_sees_exactly_what_is_registered(registry, frontend):
    seen = {instance["instance_id"]: instance for instance in await frontend.instances()}
    registered = await registry.generating()
    assert set(seen) == set(registered)
    for identity, entry in registered.items():
        assert seen[identity]["transport"] == entry.document["transport"]


async def test_key_of_an_instance_names_it(registry):
    for identity, entry in (await registry.generating()).items():
        document = entry.document
        path = [document["namespace"], document["component"], document["endpoint"], f"{identity:x}"]
        assert entry.key.split("/")[-4:] == path


async def test_every_entry_hangs_on_a_live_lease(registry):
    entries = [*await registry.entries("v1/instances/"), *await registry.models()]
    assert entries
    for entry in entries:
        assert entry.lease != 0, entry.key
        assert await registry.time_to_live(entry.lease) > 0, entry.key


async def test_all_entries_of_a_worker_hang_on_one_lease_of_its_own(registry):
    leases = {}
    for entry in [*await registry.entries("v1/instances/"), *await registry.models()]:
        leases.setdefault(entry.document["instance_id"], set()).add(entry.lease)
    assert all(len(each) == 1 for each in leases.values())
    assert len(set.union(*leases.values())) == len(leases)


async def test_every_worker_publishes_the_model_card(registry, model_name, testbed_profile):
    cards = [entry.document for entry in await registry.models()]
    assert {card["instance_id"] for card in cards} == set(await registry.generating())
    for card in cards:
        assert card["card_json"]["display_name"] == model_name
        assert card["card_json"]["runtime_config"]["context_length"] == testbed_profile.number("context_window")


async def test_announcement_reaches_the_frontend_and_ends_with_its_lease(registry, frontend):
    # A component of its own: the frontend shows the instance, and no router would choose it.
    identity = 4711
    document = {
        "type": "Endpoint",
        "namespace": "dynamo",
        "component": "conformance",
        "endpoint": "generate",
        "instance_id": identity,
        "transport": {"nats_tcp": "conformance.generate"},
    }

    async def is_seen():
        return any(instance["instance_id"] == identity for instance in await frontend.instances())

    assert not await is_seen()
    lease = await registry.announce(f"v1/instances/dynamo/conformance/generate/{identity:x}", document, ttl_s=300)
    try:
        await eventually(is_seen, bool, what="announced instance seen")
    finally:
        await registry.revoke(lease)
    await eventually(is_seen, lambda seen: not seen, what="instance gone with its lease")


# With one worker the model would be gone, and a real engine takes minutes to be back.
@pytest.mark.needs(control=True, workers_at_least=2)
async def test_stopped_worker_leaves_nothing_in_the_registry(registry, fleet, stack_control):
    leaving = fleet[-1]
    identity = await leaving.instance()
    lease = (await registry.generating())[identity].lease
    staying = set(await registry.generating()) - {identity}
    await asyncio.to_thread(stack_control.stop, leaving.name)

    async def left_behind():
        return [entry.key for entry in await registry.entries("v1/") if entry.lease == lease]

    await eventually(left_behind, lambda keys: keys == [], what="entries gone")
    assert set(await registry.generating()) == staying
    assert await registry.time_to_live(lease) <= 0
