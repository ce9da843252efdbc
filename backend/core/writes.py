"""How a route changes something: one transaction, and the same answer again for the same ``Idempotency-Key``."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import TypeAdapter
from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.core.container import Services, services_of
from backend.core.database import lock_for_transaction
from backend.core.errors import PlatformError
from backend.core.models import IdempotentWrite
from backend.identity.auth import Caller

Result = TypeVar("Result")

REPLAYED_HEADER = "Idempotency-Replayed"
_KEPT = timedelta(days=1)


class IdempotencyKeyReused(PlatformError):
    """A key names one request; it came back with another one."""

    status = 422
    slug = "idempotency-key-reused"
    title = "Idempotency key reused"


class WriteRunner:
    """Runs the change of one request in one transaction.

    With an ``Idempotency-Key`` the answer is stored in that same transaction, so a client that lost the answer asks
    again and gets it, and the change happens once. Errors are not stored: nothing was changed.
    """

    def __init__(self, services: Services, principal: str, key: str | None, request: str) -> None:
        self._services, self._principal, self._key, self._request = services, principal, key, request

    def run(
        self,
        work: Callable[[Session], Result],
        response: Any,
        status: int | Callable[[Result], int] = 200,
    ) -> Response:
        """Call ``work`` with the transaction's session and answer with its result as ``response``.

        ``response`` is the type of the body: a pydantic model, which may be read from attributes. ``status`` may be a
        function of the result (201 for what was made, 200 for what was there).
        """
        with self._services.database.write() as session:
            if self._key is not None and (before := self._find(session)):
                return _answer(before.body, before.status, replayed=True)
            result = work(session)
            session.flush()
            adapter: TypeAdapter[Any] = TypeAdapter(response)
            value = adapter.validate_python(result, from_attributes=True)
            body = adapter.dump_json(value, by_alias=True)
            code = status if isinstance(status, int) else status(result)
            if self._key is not None:
                self._keep(session, body, code)
        return _answer(body, code)

    def replayed(self) -> Response | None:
        """Return the answer that the same request was given before.

        For routes that look elsewhere (a git host, say) before their change: what they would find there by now is their own
        doing.
        """
        if self._key is None:
            return None
        with self._services.database.read() as session:
            before = self._find(session)
        return _answer(before.body, before.status, replayed=True) if before else None

    def run_pair(self, work: Callable[[Session], tuple[Any, bool]], response: Any) -> Response:
        """Like :meth:`run`, for work that returns what there is now and whether it is new: 201 if so, else 200."""
        new = False

        def first(session: Session) -> Any:
            nonlocal new
            result, new = work(session)
            return result

        return self.run(first, response, lambda _: 201 if new else 200)

    def _find(self, session: Session) -> IdempotentWrite | None:
        lock_for_transaction(session, f"idempotency:{self._principal}:{self._key}")
        found = session.get(IdempotentWrite, (self._principal, self._key))
        if found is not None and found.request != self._request:
            raise IdempotencyKeyReused(
                "this Idempotency-Key was used for another request",
                fix="Use a new key for a new request; a UUID is a good one.",
            )
        return found

    def _keep(self, session: Session, body: bytes, status: int) -> None:
        now = self._services.clock.now()
        session.execute(delete(IdempotentWrite).where(IdempotentWrite.created_at < now - _KEPT))
        session.add(
            IdempotentWrite(
                principal=self._principal,
                key=self._key,
                request=self._request,
                status=status,
                body=body,
                created_at=now,
            )
        )


def _answer(body: bytes, status: int, *, replayed: bool = False) -> Response:
    headers = {REPLAYED_HEADER: "true"} if replayed else {}
    return Response(body, status_code=status, media_type="application/json", headers=headers)


async def _runner(
    request: Request,
    caller: Caller,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="The same key with the same body gives the same answer, and the change happens once.",
        ),
    ] = None,
) -> WriteRunner:
    summary = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    summary.update(await request.body())
    return WriteRunner(services_of(request), caller.ref, idempotency_key, summary.hexdigest())


Write = Annotated[WriteRunner, Depends(_runner)]
"""Type of a route's parameter that runs the route's change."""
