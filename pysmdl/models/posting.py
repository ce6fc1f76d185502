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
    url: str, kind: str, views: int, concurrency: int, headers: Mapping[str, str]
) -> tuple[Callable[[Any], Coroutine[Any, Any, Any]], Any]:
    """A function that sends a view as the body, or several as parts of a form; and the client to be closed in the end.

    Args:
        kind: Content type of a view.
        views: Of a request.
        concurrency: Connections that are kept.
        headers: Of each request.
    """
    httpx = need_client()
    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=concurrency))
    sent = {**({"content-type": kind} if views == 1 else {}), **headers}

    async def post(request: Any) -> Any:
        if views == 1:
            parts: dict[str, Any] = {"content": request}
        else:
            parts = {"files": [("image", ("view", each, kind)) for each in request]}
        try:
            reply = await client.post(url, headers=sent, **parts)
        except httpx.TransportError as error:
            raise Refused(f"{type(error).__name__} {error}".strip()) from error
        if reply.status_code in PASSES:
            raise Refused(f"status {reply.status_code}", seconds_after(reply.headers.get("retry-after")))
        if reply.status_code != 200:
            raise ScorerError(f"{url} replied with status {reply.status_code}: {reply.text[:200]}")
        try:
            return reply.json()
        except ValueError:
            raise ScorerError(f"{url} must reply in JSON; got {reply.text[:80]!r}") from None

    return post, client


def close(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Close a client's connections, on the loop that they belong to."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(client.aclose(), loop)
