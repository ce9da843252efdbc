"""The gates a version passes before it may be deployed; each one ends in a :class:`~mlplatform.gates.result.GateResult`."""
