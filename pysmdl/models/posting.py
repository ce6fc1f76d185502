"""One try of a request to a server: views POSTed, JSON back. The only place that knows HTTP, by httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any
from urllib.request import getproxies, proxy_bypass

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
    """A function that sends a view as the body, or several as parts of a form; and the connections to be closed in the
    end. httpx's transports are used without its client, which takes as long again for each request.

    Args:
        kind: Content type of a view.
        views: Of a request.
        headers: Of each request.
    """
    httpx = need_client()
    made: list[Any] = []  # one a request in flight: httpx looks through all connections of a transport at each request
    free: list[Any] = []
    address = httpx.URL(url)
    secure = address.scheme == "https"  # without it the authorities, 40 ms to read, are of no use
    security = httpx.create_ssl_context() if secure else SSLContext(PROTOCOL_TLS_CLIENT)
    proxy = None if proxy_bypass(address.host) else getproxies().get(address.scheme)
    sent = httpx.Headers({"user-agent": "pysmdl", "accept": "application/json", "accept-encoding": "gzip", **headers})
    if views == 1:
        sent.setdefault("content-type", kind)
    if address.username:
        signed = httpx.BasicAuth(address.username, address.password).auth_flow(httpx.Request("POST", address))
        sent.setdefault("authorization", next(signed).headers["authorization"])

    async def replied(request: Any) -> Any:
        parts = {"content": request} if views == 1 else {"files": [("image", ("view", each, kind)) for each in request]}
        if not free:
            free.append(httpx.AsyncHTTPTransport(verify=security, proxy=proxy))
            made.append(free[-1])
        transport = free.pop()
        try:
            reply = await transport.handle_async_request(httpx.Request("POST", address, headers=sent, **parts))
            try:
                await reply.aread()
            finally:
                await reply.aclose()
        except httpx.TransportError as error:
            raise Refused(f"{type(error).__name__} {error}".strip()) from error
        finally:
            free.append(transport)
        return reply

    async def post(request: Any) -> Any:
        reply = await replied(request)
        if reply.status_code in PASSES:
            raise Refused(f"status {reply.status_code}", seconds_after(reply.headers.get("retry-after")))
        if reply.status_code != 200:
            raise ScorerError(f"{url} replied with status {reply.status_code}: {reply.text[:200]}")
        try:
            return reply.json()
        except ValueError:
            raise ScorerError(f"{url} must reply in JSON; got {reply.text[:80]!r}") from None

    return post, made


def close(transports: list[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Close connections, on the loop that they belong to."""
    for each in transports if loop.is_running() else []:
        asyncio.run_coroutine_threadsafe(each.aclose(), loop)
