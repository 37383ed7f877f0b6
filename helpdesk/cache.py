"""The cache. Redis may be away at any moment, and then every question is a miss and every write is lost."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class ForgivingRedisCache(RedisCache):
    """Django's Redis cache, except that an outage of Redis answers no page with an error.

    Nothing that must hold (limits on sign-in, sessions) may rely on it: those live in PostgreSQL.
    """

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return _or(default, lambda: super(ForgivingRedisCache, self).get(key, default, version))

    def get_many(self, keys: Any, version: Any = None) -> Any:
        return _or({}, lambda: super(ForgivingRedisCache, self).get_many(keys, version))

    def has_key(self, key: Any, version: Any = None) -> Any:
        return _or(False, lambda: super(ForgivingRedisCache, self).has_key(key, version))

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        return _or(True, lambda: super(ForgivingRedisCache, self).add(key, value, *args, **kwargs))

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        return _or(None, lambda: super(ForgivingRedisCache, self).set(key, value, *args, **kwargs))

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return _or(list(data), lambda: super(ForgivingRedisCache, self).set_many(data, *args, **kwargs))

    def touch(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return _or(False, lambda: super(ForgivingRedisCache, self).touch(key, *args, **kwargs))

    def delete(self, key: Any, version: Any = None) -> Any:
        return _or(False, lambda: super(ForgivingRedisCache, self).delete(key, version))

    def delete_many(self, keys: Any, version: Any = None) -> Any:
        return _or(None, lambda: super(ForgivingRedisCache, self).delete_many(keys, version))

    def incr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return _or(delta, lambda: super(ForgivingRedisCache, self).incr(key, delta, version))

    def clear(self) -> Any:
        return _or(False, lambda: super(ForgivingRedisCache, self).clear())


def _or(fallback: Any, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (RedisError, OSError) as error:
        logger.warning("cache unavailable: %s", error)
        return fallback
