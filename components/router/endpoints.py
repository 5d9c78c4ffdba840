"""The table: which pool of Synapse processes serves which endpoint. One row per endpoint, as Synapse registers it.

Everything that is not in this table goes to the main process, which serves everything but media. A row exists where
a worker can serve the endpoint and should. `tests/tools/router/test_endpoints.py` compares the table with the
servlets that the pinned Synapse really registers, process by process, both ways: what a worker could serve and is
neither here nor in `LEFT_TO_MAIN` fails the test, and so does a row that its pool's process would answer with 404.

A path is written as Synapse documents it, below its prefixes: `{name}` stands for one path segment.
"""

from dataclasses import dataclass

from components.router.pools import Pool


def client(*versions: str) -> tuple[str, ...]:
    """Prefixes of the client API for these versions."""
    return tuple(f"/_matrix/client/{version}" for version in versions)


ALL = client("api/v1", "r0", "v3", "unstable")
RECENT = client("r0", "v3", "unstable")
STABLE = client("r0", "v3")
V3 = client("v3")
V1 = client("v1")
V1_UNSTABLE = client("v1", "unstable")
V3_UNSTABLE = client("v3", "unstable")
UNSTABLE = client("unstable")
NO_VERSION = ("/_matrix/client",)
FEDERATION_V1 = ("/_matrix/federation/v1",)
FEDERATION_V2 = ("/_matrix/federation/v2",)
FEDERATION_V1_V2 = FEDERATION_V1 + FEDERATION_V2
FEDERATION_UNSTABLE = ("/_matrix/federation/unstable",)
KEY = ("/_matrix/key/v2",)
MEDIA = tuple(f"/_matrix/media/{version}" for version in ("r0", "v3", "v1"))
MEDIA_V1 = ("/_matrix/media/v1",)
MEDIA_V3 = ("/_matrix/media/v3",)
CLIENT_MEDIA = ("/_matrix/client/v1/media",)
FEDERATION_MEDIA = ("/_matrix/federation/v1/media",)
ADMIN = ("/_synapse/admin/v1",)

GET = ("GET",)
POST = ("POST",)
PUT = ("PUT",)
DELETE = ("DELETE",)
GET_PUT = GET + PUT
GET_POST = GET + POST
GET_DELETE = GET + DELETE
PUT_DELETE = PUT + DELETE
GET_PUT_DELETE = GET_PUT + DELETE


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: below each of `prefixes`, `methods` of `path` go to `pool`.

    How a worker is chosen inside the pool is a property of the pool (`pools.POOLS[pool].choice`): a pool is one
    HAProxy backend, and a backend has one way of balancing. HEAD goes wherever GET goes, as in Synapse.
    """

    prefixes: tuple[str, ...]
    path: str
    methods: tuple[str, ...]
    pool: Pool

    @property
    def paths(self) -> tuple[str, ...]:
        """The path templates, complete."""
        return tuple(f"{prefix}/{self.path}" for prefix in self.prefixes)


def _rows(pool: Pool, *rows: tuple[tuple[str, ...], tuple[str, ...], str]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(prefixes, path, methods, pool) for methods, prefixes, path in rows)


_MSC2432 = client("unstable/org.matrix.msc2432")
_MSC3391 = client("unstable/org.matrix.msc3391")
_MSC3814 = client("unstable/org.matrix.msc3814.v1")
_MSC4140 = client("unstable/org.matrix.msc4140")
_SUMMARY = client("unstable/im.nheko.summary")

ENDPOINTS: tuple[Endpoint, ...] = (
    # Whether a /sync is an initial one is decided by its query, not by this table: see frontends._dispatch.
    *_rows(
        Pool.SYNCHROTRON,
        (GET, RECENT, "sync"),
        (GET, ALL, "events"),
    ),
    *_rows(
        Pool.INITIAL_SYNCHROTRON,
        (GET, ALL, "initialSync"),
        (GET, ALL, "rooms/{room_id}/initialSync"),
    ),
    *_rows(
        Pool.SLIDING_SYNC,
        (POST, client("unstable/org.matrix.simplified_msc3575"), "sync"),
    ),
    # Everything that makes an event. The worker is chosen by the room (or alias, or user) in the path.
    *_rows(
        Pool.EVENT_CREATOR,
        (POST, ALL, "createRoom"),
        (PUT, ALL, "createRoom/{txn_id}"),
        (POST, ALL, "join/{room_identifier}"),
        (PUT, ALL, "join/{room_identifier}/{txn_id}"),
        (POST, RECENT, "knock/{room_identifier}"),
        *(
            row
            for action in ("join", "invite", "leave", "ban", "unban", "kick")
            for row in (
                (POST, ALL, f"rooms/{{room_id}}/{action}"),
                (PUT, ALL, f"rooms/{{room_id}}/{action}/{{txn_id}}"),
            )
        ),
        (POST, ALL, "rooms/{room_id}/send/{event_type}"),
        (PUT, ALL, "rooms/{room_id}/send/{event_type}/{txn_id}"),
        (POST, ALL, "rooms/{room_id}/redact/{event_id}"),
        (PUT, ALL, "rooms/{room_id}/redact/{event_id}/{txn_id}"),
        (PUT, ALL, "rooms/{room_id}/state/{event_type}"),
        (PUT, ALL, "rooms/{room_id}/state/{event_type}/{state_key}"),
        # A changed profile becomes a membership event in each of the user's rooms.
        (PUT_DELETE, ALL, "profile/{user_id}/avatar_url"),
        (PUT_DELETE, ALL, "profile/{user_id}/displayname"),
        (PUT_DELETE, V3, "profile/{user_id}/{field_name}"),
        (PUT_DELETE, client("unstable/uk.tcpip.msc4133"), "profile/{user_id}/{field_name}"),
    ),
    # Synapse demands that all requests for a room's history reach the same process.
    *_rows(
        Pool.PAGINATION,
        (GET, ALL, "rooms/{room_id}/messages"),
    ),
    *_rows(
        Pool.GENERIC,
        (GET, NO_VERSION, "versions"),
        (GET, RECENT, "capabilities"),
        (GET, RECENT, "password_policy"),
        (GET, RECENT, "register/available"),
        (GET, V1_UNSTABLE, "register/m.login.registration_token/validity"),
        (GET, RECENT, "account/whoami"),
        (GET, RECENT, "account/3pid"),
        (POST, RECENT, "account/deactivate"),
        (GET, RECENT, "notifications"),
        (GET, ALL, "voip/turnServer"),
        (GET, client("unstable/org.matrix.msc4143"), "rtc/transports"),
        (GET_POST, ALL, "publicRooms"),
        (POST, ALL, "search"),
        (GET, ALL, "joined_rooms"),
        (GET_PUT_DELETE, ALL, "directory/room/{room_alias}"),
        (GET, ALL, "profile/{user_id}"),
        (GET, ALL, "profile/{user_id}/avatar_url"),
        (GET, ALL, "profile/{user_id}/displayname"),
        (GET, V3, "profile/{user_id}/{field_name}"),
        (GET, client("unstable/uk.tcpip.msc4133"), "profile/{user_id}/{field_name}"),
        (POST, RECENT, "user/{user_id}/filter"),
        (GET, RECENT, "user/{user_id}/filter/{filter_id}"),
        (GET, ALL, "events/{event_id}"),
        (GET, ALL, "rooms/{room_id}/context/{event_id}"),
        (GET, ALL, "rooms/{room_id}/event/{event_id}"),
        (GET, ALL, "rooms/{room_id}/joined_members"),
        (GET, ALL, "rooms/{room_id}/members"),
        (GET, ALL, "rooms/{room_id}/state"),
        (GET, ALL, "rooms/{room_id}/state/{event_type}"),
        (GET, ALL, "rooms/{room_id}/state/{event_type}/{state_key}"),
        (GET, STABLE, "rooms/{room_id}/aliases"),
        (GET, _MSC2432, "rooms/{room_id}/aliases"),
        (GET, V1, "rooms/{room_id}/hierarchy"),
        (GET, V1, "rooms/{room_id}/threads"),
        (GET, V1, "rooms/{room_id}/timestamp_to_event"),
        (GET, V1_UNSTABLE, "rooms/{room_id}/relations/{parent_id}"),
        (GET, V1_UNSTABLE, "rooms/{room_id}/relations/{parent_id}/{relation_type}"),
        (GET, V1_UNSTABLE, "rooms/{room_id}/relations/{parent_id}/{relation_type}/{event_type}"),
        (GET, V1, "room_summary/{room_identifier}"),
        (GET, _SUMMARY, "summary/{room_identifier}"),
        (GET, _SUMMARY, "rooms/{room_identifier}/summary"),
        (GET, client("unstable/io.element.msc4502"), "rooms/{room_id}/is_joined"),
        (GET, _MSC4140, "delayed_events"),
        (GET, _MSC4140, "delayed_events/{delay_id}"),
        (POST, _MSC4140, "delayed_events/{delay_id}/restart"),
        # Encryption: reading keys. Writing them belongs to the device_lists writers below.
        (POST, RECENT, "keys/query"),
        (GET, RECENT, "keys/changes"),
        (POST, RECENT, "keys/claim"),
        (POST, client("unstable/org.matrix.msc3983"), "keys/claim"),
        (GET_PUT_DELETE, RECENT, "room_keys/keys"),
        (GET_PUT_DELETE, RECENT, "room_keys/keys/{room_id}"),
        (GET_PUT_DELETE, RECENT, "room_keys/keys/{room_id}/{session_id}"),
        (GET_POST, RECENT, "room_keys/version"),
        (GET_PUT_DELETE, RECENT, "room_keys/version/{version}"),
        (POST, V1_UNSTABLE, "appservice/{appservice_id}/ping"),
        (POST, client("unstable/org.matrix.msc3720"), "account_status"),
    ),
    *_rows(
        Pool.USER_DIRECTORY,
        (POST, RECENT, "user_directory/search"),
    ),
    # Stream writers: to the writer, or to main when main can stand in; never to a generic worker.
    *_rows(
        Pool.TYPING,
        (PUT, ALL, "rooms/{room_id}/typing/{user_id}"),
    ),
    *_rows(
        Pool.TO_DEVICE,
        (PUT, RECENT, "sendToDevice/{message_type}/{txn_id}"),
    ),
    *_rows(
        Pool.ACCOUNT_DATA,
        (GET_PUT, RECENT, "user/{user_id}/account_data/{type}"),
        (GET_PUT, RECENT, "user/{user_id}/rooms/{room_id}/account_data/{type}"),
        (GET, RECENT, "user/{user_id}/rooms/{room_id}/tags"),
        (PUT_DELETE, RECENT, "user/{user_id}/rooms/{room_id}/tags/{tag}"),
        (DELETE, _MSC3391, "user/{user_id}/account_data/{type}"),
        (DELETE, _MSC3391, "user/{user_id}/rooms/{room_id}/account_data/{type}"),
    ),
    *_rows(
        Pool.PRESENCE,
        (GET_PUT, ALL, "presence/{user_id}/status"),
    ),
    *_rows(
        Pool.PUSH_RULES,
        (GET_PUT_DELETE, ALL, "pushrules/{path}"),
    ),
    *_rows(
        Pool.RECEIPTS,
        (POST, RECENT, "rooms/{room_id}/receipt/{receipt_type}/{event_id}"),
        (POST, RECENT, "rooms/{room_id}/read_markers"),
    ),
    *_rows(
        Pool.DEVICE_LISTS,
        (POST, RECENT, "delete_devices"),
        (GET, RECENT, "devices"),
        (GET_PUT_DELETE, RECENT, "devices/{device_id}"),
        (POST, RECENT, "keys/upload"),
        (POST, RECENT, "keys/signatures/upload"),
        (POST, V3_UNSTABLE, "keys/device_signing/upload"),
        (GET_PUT_DELETE, _MSC3814, "dehydrated_device"),
        (GET_POST, _MSC3814, "dehydrated_device/{device_id}/events"),
    ),
    # Media is served by its own processes alone: everything of it, or main would have to have the store as well.
    *_rows(
        Pool.MEDIA_REPOSITORY,
        (POST, MEDIA_V1, "create"),
        (POST, MEDIA, "upload"),
        (PUT, MEDIA_V3, "upload/{server_name}/{media_id}"),
        *(
            row
            for prefixes in (MEDIA, CLIENT_MEDIA)
            for row in (
                (GET, prefixes, "config"),
                (GET, prefixes, "preview_url"),
                (GET, prefixes, "download/{server_name}/{media_id}"),
                (GET, prefixes, "download/{server_name}/{media_id}/{file_name}"),
                (GET, prefixes, "thumbnail/{server_name}/{media_id}"),
            )
        ),
        (GET, FEDERATION_MEDIA, "download/{media_id}"),
        (GET, FEDERATION_MEDIA, "thumbnail/{media_id}"),
        (GET_DELETE, ADMIN, "media/{server_name}/{media_id}"),
        (POST, ADMIN, "media/{server_name}/delete"),
        (POST, ADMIN, "media/delete"),
        (POST, ADMIN, "media/protect/{media_id}"),
        (POST, ADMIN, "media/unprotect/{media_id}"),
        (POST, ADMIN, "media/quarantine/{server_name}/{media_id}"),
        (POST, ADMIN, "media/unquarantine/{server_name}/{media_id}"),
        (GET, ADMIN, "media/quarantine_changes"),
        (POST, ADMIN, "purge_media_cache"),
        (POST, ADMIN, "quarantine_media/{room_id}"),
        (GET, ADMIN, "room/{room_id}/media"),
        (POST, ADMIN, "room/{room_id}/media/quarantine"),
        (POST, ADMIN, "user/{user_id}/media/quarantine"),
        (GET_DELETE, ADMIN, "users/{user_id}/media"),
    ),
    *_rows(
        Pool.FEDERATION_INBOUND,
        (PUT, FEDERATION_V1, "send/{transaction_id}"),
    ),
    *_rows(
        Pool.FEDERATION_READER,
        (GET, FEDERATION_V1, "version"),
        (GET, FEDERATION_V1, "event/{event_id}"),
        (GET, FEDERATION_V1, "state/{room_id}"),
        (GET, FEDERATION_V1, "state_ids/{room_id}"),
        (GET, FEDERATION_V1, "backfill/{room_id}"),
        (POST, FEDERATION_V1, "get_missing_events/{room_id}"),
        (GET, FEDERATION_V1, "timestamp_to_event/{room_id}"),
        (GET, FEDERATION_V1, "event_auth/{room_id}/{event_id}"),
        (GET, FEDERATION_V1, "hierarchy/{room_id}"),
        (GET_POST, FEDERATION_V1, "publicRooms"),
        (GET, FEDERATION_V1, "query/{query_type}"),
        (GET, FEDERATION_V1, "make_join/{room_id}/{user_id}"),
        (GET, FEDERATION_V1, "make_leave/{room_id}/{user_id}"),
        (GET, FEDERATION_V1, "make_knock/{room_id}/{user_id}"),
        (PUT, FEDERATION_V1, "send_knock/{room_id}/{event_id}"),
        (PUT, FEDERATION_V1_V2, "send_join/{room_id}/{event_id}"),
        (PUT, FEDERATION_V1_V2, "send_leave/{room_id}/{event_id}"),
        (PUT, FEDERATION_V1_V2, "invite/{room_id}/{event_id}"),
        (PUT, FEDERATION_V1, "exchange_third_party_invite/{room_id}"),
        (POST, FEDERATION_V1, "3pid/onbind"),
        (GET, FEDERATION_V1, "user/devices/{user_id}"),
        (POST, FEDERATION_V1, "user/keys/query"),
        (POST, FEDERATION_V1, "user/keys/claim"),
        (POST, FEDERATION_UNSTABLE, "user/keys/claim"),
        (GET, FEDERATION_UNSTABLE, "rooms/{room_id}/complexity"),
        (GET, FEDERATION_UNSTABLE, "org.matrix.msc4370/extremities/{room_id}"),
        (POST, FEDERATION_UNSTABLE, "org.matrix.msc3720/query/account_status"),
        (GET, KEY, "server"),
        (GET, KEY, "server/{key_id}"),
        (POST, KEY, "query"),
        (GET, KEY, "query/{server}"),
        (GET, KEY, "query/{server}/{key_id}"),
    ),
)


@dataclass(frozen=True, slots=True)
class LeftToMain:
    """An endpoint that workers register as well, and that goes to main nevertheless. `why` is for the reader."""

    endpoint: Endpoint
    why: str


def _left(why: str, *rows: tuple[tuple[str, ...], tuple[str, ...], str]) -> tuple[LeftToMain, ...]:
    return tuple(LeftToMain(endpoint, why) for endpoint in _rows(Pool.MAIN, *rows))


LEFT_TO_MAIN: tuple[LeftToMain, ...] = (
    *_left(
        "the limits on attempts and the state of a login are in one process's memory",
        (GET_POST, ALL, "login"),
        (GET, ALL, "login/sso/redirect"),
        (GET, ALL, "login/cas/redirect"),
        (GET, STABLE, "login/sso/redirect/{idp_id}"),
        (GET, ALL, "login/cas/ticket"),
        (POST, RECENT, "register"),
    ),
    *_left(
        "changes a third-party identifier together with its siblings, which only main serves",
        (POST, RECENT, "account/3pid"),
    ),
    *_left(
        "must answer with federation off too, when no worker has a federation listener",
        (GET, FEDERATION_V1, "openid/userinfo"),
    ),
    *_left(
        "administration is rare, and main has all of it",
        (GET_DELETE, ADMIN, "rooms/{room_id}"),
        (GET, ("/_synapse/admin/v2",), "users/{user_id}"),
    ),
    *_left(
        "main is the writer of the thread_subscriptions stream",
        (
            GET_PUT_DELETE,
            client("unstable/io.element.msc4306"),
            "rooms/{room_id}/thread/{thread_root_id}/subscription",
        ),
        (GET, client("unstable/io.element.msc4308"), "thread_subscriptions"),
    ),
    *_left(
        "a bridge's calls to other servers; main keeps its few connections",
        (POST, client("unstable/io.element.msc4512"), "appservice/fed_proxy"),
    ),
)
