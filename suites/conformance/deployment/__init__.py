"""A Dynamo deployment as its clients and operators see it: requests, metrics, registry and messages."""
