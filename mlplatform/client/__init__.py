"""Talk to the platform's HTTP API: :class:`PlatformClient`, its errors, and the credentials that ``platform login`` wrote.

Example:
    >>> from mlplatform.client import PlatformClient
    >>> client = PlatformClient("http://127.0.0.1:7070", token)  # doctest: +SKIP
    >>> client.version("wine", "champion")["digest"]  # doctest: +SKIP
"""

from mlplatform.client.client import PlatformClient
from mlplatform.client.credentials import CredentialFault, Credentials, CredentialStore, default_url
from mlplatform.client.errors import ClientError, PlatformProblem, PlatformUnreachable

__all__ = [
    "ClientError",
    "CredentialFault",
    "CredentialStore",
    "Credentials",
    "PlatformClient",
    "PlatformProblem",
    "PlatformUnreachable",
    "default_url",
]
