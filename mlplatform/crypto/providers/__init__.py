"""Where key-encryption keys are: one module each, behind :class:`~mlplatform.crypto.providers.base.KeyProvider`."""
