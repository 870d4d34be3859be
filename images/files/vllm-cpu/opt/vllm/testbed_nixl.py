"""NIXL's progress thread looks after transfers every millisecond, and not all the time.

Its Python API (1.4.1 and 1.5.1) has it wait for 0 µs, so that in each worker one thread takes a whole processor, idle
or not: on a machine with GPUs and many cores nobody notices, on a laptop nothing is left for NATS and the frontend.
vLLM loads this as a plugin in each of its processes.
"""

LEAST_DELAY_US = 1000


def register() -> None:
    """Replace the settings of agents that are made from now on."""
    from nixl_cu13 import _bindings

    class Config(_bindings.nixlAgentConfig):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, max(value, LEAST_DELAY_US) if name == "pthrDelay" else value)

    _bindings.nixlAgentConfig = Config
