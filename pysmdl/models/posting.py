"""One try of a request to a server: views POSTed, JSON back. The only place that knows HTTP, by httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from pysmdl.errors import ScorerError, need
from pysmdl.models.sending import PASSES, Refused, seconds_after


def need_client() -> Any:
    """httpx.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import httpx
    except ImportError:
        raise need("httpx", "an endpoint by its URL", "pysmdl[http]") from None
    return httpx


def posting(
    url: str, kind: str, views: int, headers: Mapping[str, str]
) -> tuple[Callable[[Any], Coroutine[Any, Any, Any]], list[Any]]:
    """A function that sends a view as the body, or several as parts of a form; and the clients to be closed in the end.

    Args:
        kind: Content type of a view.
        views: Of a request.
        headers: Of each request.
    """
    httpx = need_client()
    clients: list[Any] = []  # one a request in flight: httpx looks through all connections of a client at each request
    free: list[Any] = []
    security, address = httpx.create_ssl_context(), httpx.URL(url)
    sent = {**({"content-type": kind} if views == 1 else {}), **headers}

    async def post(request: Any) -> Any:
        if views == 1:
            parts: dict[str, Any] = {"content": request}
        else:
            parts = {"files": [("image", ("view", each, kind)) for each in request]}
        if not free:
            free.append(httpx.AsyncClient(timeout=None, verify=security))
            clients.append(free[-1])
        client = free.pop()
        try:
            reply = await client.post(address, headers=sent, **parts)
        except httpx.TransportError as error:
            raise Refused(f"{type(error).__name__} {error}".strip()) from error
        finally:
            free.append(client)
        if reply.status_code in PASSES:
            raise Refused(f"status {reply.status_code}", seconds_after(reply.headers.get("retry-after")))
        if reply.status_code != 200:
            raise ScorerError(f"{url} replied with status {reply.status_code}: {reply.text[:200]}")
        try:
            return reply.json()
        except ValueError:
            raise ScorerError(f"{url} must reply in JSON; got {reply.text[:80]!r}") from None

    return post, clients


def close(clients: list[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Close the connections of clients, on the loop that they belong to."""
    for client in clients if loop.is_running() else []:
        asyncio.run_coroutine_threadsafe(client.aclose(), loop)
