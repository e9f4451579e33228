"""The program: every role of one process, from start to drained end.

In: `StartOptions`. Out: a running `Program`. The order of a start is server, bus, streams, trees,
doors; the end goes the other way round and is bounded at each step: stop taking in, stop pulling,
finish, settle, close. SIGTERM, SIGINT end it; SIGHUP reloads.
"""

import asyncio
import signal
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

import structlog
from starlette.routing import BaseRoute

from actors.runs.shares import FairShares
from actors.tenants.tree import Roles
from app.accounts.steward import AccountsSteward
from app.audit.lock_outs import LockOutTeller
from app.bootstrap.api_opening import open_api
from app.bootstrap.audit_side import AuditSide
from app.bootstrap.bus_logins import start_steward
from app.bootstrap.bus_side import BusSide
from app.bootstrap.credentials import Credentials
from app.bootstrap.deploy_side import DeployNeeds, DeploySide, nothing
from app.bootstrap.dev_side import DevSide, refuse_prod
from app.bootstrap.egress import guard_ports, ports_of
from app.bootstrap.first_key import make_first_key
from app.bootstrap.folder import Folder, FolderDeployments
from app.bootstrap.history_side import HistorySide, HistoryWorld
from app.bootstrap.ingress_side import IngressParts, build_public_app
from app.bootstrap.node_side import build_nodes
from app.bootstrap.options import StartOptions
from app.bootstrap.past import KeptDeployments, actions_of
from app.bootstrap.plans import PlanBook
from app.bootstrap.providers import Providers
from app.bootstrap.pull_watch import SILENT_SECONDS_MAX, PullWatch
from app.bootstrap.reload import Reloader
from app.bootstrap.tenant_side import open_tenant_desks
from app.bootstrap.tree_side import build_host
from app.bundle.problems import bundle_error, errors_of
from app.bundle.reading import Bundle
from app.bus.cancelling import listen_for_cancels
from app.bus.connection import Bus, BusSettings
from app.bus.pull_health import PullState
from app.bus.server import EmbeddedServer
from app.bus.server_process import ServerSettings
from app.control.credentials import tombstone_gate
from app.control.keys import KeyDesk
from app.control.names import versions_bucket
from app.emulators.accounts import dev_options
from app.errors import AppError
from app.fleet.hot import Load
from app.fleet.report import WorkerIdentity
from app.http.api_access import ApiAccess
from app.http.asgi import AsgiApp
from app.http.pages import build_admin_app
from app.http.server import HttpServer
from app.observability.loop_watchdog import LoopWatchdog
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver
from app.providers.catalog import provider_specs
from app.providers.provider import ProviderContext
from app.stores.blobs import ObjectBlobs
from app.stores.key_source import KeySource
from app.system import SystemClock, collect_seldom, program_version, spare_the_collector

CONNECT_SECONDS_MAX: Final = 30.0

_log = structlog.get_logger("app.program")


class Program:
    """One process. Use `start`, then `wait_ended`, then `stop`."""

    def __init__(self, options: StartOptions) -> None:
        self._options = options
        self._metrics = Metrics()
        self._observer = ReportingObserver(self._metrics)
        self._server: EmbeddedServer | None = None
        self._stack = AsyncExitStack()
        self._ending = asyncio.Event()
        self._providers = Providers()
        self._background: list[asyncio.Task[None]] = []
        self._watchdog = LoopWatchdog(self._metrics, self._observer)
        self._pull_watch = PullWatch(self._pull_states, self._metrics, self._observer)
        self.public: HttpServer | None = None
        self.admin: HttpServer | None = None
        self._folder: FolderDeployments | None = None
        self._logins: AccountsSteward | None = None
        self._history: HistorySide | None = None
        self.bundle: Bundle | None = None
        self.emulators_url: str | None = None

    @property
    def nats_url(self) -> str:
        """Where the bus is."""
        return self._bus_settings.url

    # ── Start ────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start everything; on failure what was started is stopped again. AppError."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        options = self._options
        if options.is_dev:
            refuse_prod(options.env)
        collect_seldom()
        self._watchdog.start()
        self._stack.callback(self._watchdog.stop)
        if options.history is not None:
            self._history = HistorySide(options.history)
            self._stack.callback(self._history.close)
        bus = await self._connect()
        await self._open_sides(bus)
        await self._start_trees(bus)
        await self._open_deployments(bus)
        await self._deploy_folder()
        await self._deploys.follow(options.env)
        self._deploys.convergence.check(() if self.bundle is None else self.bundle.tenants)
        await self._start_http()
        servers = [server.url for server in (self.public, self.admin) if server is not None]
        guard_ports(self._side.http, [*servers, *self.nats_url.split(",")])
        self._watch()
        spare_the_collector()

    async def _connect(self) -> Bus:
        self._bus_settings = self._options.bus or await self._start_server()
        return await Bus.connect(
            self._bus_settings, self._observer, deadline_seconds=CONNECT_SECONDS_MAX
        )

    async def _open_sides(self, bus: Bus) -> None:
        """Open what hangs on the connection; it is closed in the opposite order."""
        options = self._options
        # Flows run before our ports are open.
        own_ports = ports_of(self.nats_url.split(",")) | {options.port, options.admin_port}
        keys = KeySource(options.secrets, options.env, options.data_dir)
        self._credentials = await Credentials.open(bus, keys, SystemClock(), self._observer)
        self._audit = await AuditSide.open(bus, options.env, SystemClock(), self._observer)
        self._side = await BusSide.open(
            bus,
            env=options.env,
            observer=self._observer,
            nodes=build_nodes(
                options, self._credentials.secrets, self._providers, self._observer, self._stack
            ),
            egress=replace(options.egress, own_ports=own_ports),
            backlog=options.backlog,
        )
        self._stack.push_async_callback(self._side.close, options.drain_seconds)
        self._keep_logins(bus)
        self._stack.push_async_callback(self._audit.close)
        self._stack.push_async_callback(self._credentials.close)
        await self._begin_keys()
        self._stack.push_async_callback(self._providers.close)

    async def _start_trees(self, bus: Bus) -> None:
        """Start the root of the tenants' trees; they come with the first deployment."""
        env = self._options.env
        versions = ObjectBlobs(bus.client, versions_bucket(env))
        self._kept = KeptDeployments(versions, actions_of(provider_specs()))
        shares = FairShares(self._side.clock)
        self._plans = PlanBook(self._options.plans, self._side.quotas, shares)
        roles = Roles(self._options.has_ingress, self._options.has_worker)
        self._host = build_host(self._side, roles, self._kept, self._plans, self._confirm)
        await self._host.start()
        self._stack.push_async_callback(self._host.drain)
        if self._options.has_worker:
            cancels = await listen_for_cancels(bus, env, self._host.cancel)
            self._stack.push_async_callback(bus.unsubscribe, cancels)

    async def _open_deployments(self, bus: Bus) -> None:
        """Open what deploys and follows deployments; it is closed before the trees are drained."""
        options = self._options
        endpoints = await self._start_emulators() if options.is_dev else {}
        context = ProviderContext(
            env=options.env,
            http=self._side.http,
            clock=self._side.clock,
            api_keys=self._credentials.api_keys,
            endpoints=endpoints,
        )
        needs = DeployNeeds(
            env=options.env,
            host=self._host,
            kept=self._kept,
            providers=self._providers,
            plans=self._plans,
            context=context,
            secrets=self._credentials.secrets,
            audit=self._audit.log,
            clock=self._side.clock,
            identity=WorkerIdentity.of_this_process(options.roles, program_version()),
            environment=options.environment,
            stand_ins=dev_options() if options.is_dev else {},
            workers_per_tenant=options.workers_per_tenant,
            loads=self._loads,
            enforce_logins=nothing if self._logins is None else self._logins.refresh,
            replicas=options.replicas,
            usage_age_seconds=options.usage_age_seconds,
            outside=() if self._history is None else (self._history,),
        )
        self._deploys = side = await DeploySide.open(bus, needs)
        self._stack.push_async_callback(side.close)
        if options.bundle is not None:
            self._folder = FolderDeployments(
                options.bundle, side.desk, side.tenants, side.shelf, self._plans, needs.check
            )

    def _loads(self) -> Mapping[str, Load]:
        pulls = self._side.pulls
        return {
            tenant: Load(pulls[tenant].waiting, in_flight)
            for tenant, in_flight in self._host.in_flight().items()
            if tenant in pulls
        }

    async def _confirm(self, tenant: str) -> None:
        await self._deploys.convergence.confirm(tenant)

    async def _start_server(self) -> BusSettings:
        server = EmbeddedServer(
            self._options.data_dir,
            ServerSettings(sync_interval=self._options.sync_interval),
            observer=self._observer,
        )
        endpoint = await server.start()
        self._server = server
        self._stack.push_async_callback(server.stop)
        return BusSettings(endpoint.url, endpoint.user, endpoint.password)

    def _keep_logins(self, bus: Bus) -> None:
        """Look after who may log in to our own server; other servers have their own stewards."""
        if self._server is not None:
            self._logins = start_steward(self._server, bus, self._options.env, SystemClock())
            self._stack.push_async_callback(self._logins.stop)

    async def _begin_keys(self) -> None:
        """Write lock-outs down; on a server of our own, see to the first platform key."""
        kept, log = self._credentials, self._audit.log
        kept.api_keys.on_locked = LockOutTeller(log, self._side.clock)
        gate = tombstone_gate(self._side.bus, self._options.env)
        self._keys = KeyDesk(kept.key_store, kept.key_uses, log, self._side.clock, gate)
        if self._server is not None:
            await make_first_key(self._keys, self._options.data_dir)

    async def _start_http(self) -> None:
        options = self._options
        if options.has_ingress:
            parts = IngressParts(
                self._host, self._providers, self._side, self._metrics, self.not_ready
            )
            app = build_public_app(options, parts)
            self.public = await self._serve(app, options.host, options.port)
        access = ApiAccess(self._credentials.api_keys, self._observer, options.trusted_proxies)
        api = await self._build_api(access)
        admin = build_admin_app(self.not_ready, self._metrics.render, api, self._describe)
        self.admin = await self._serve(admin, options.admin_host, options.admin_port)

    async def _build_api(self, access: ApiAccess) -> Sequence[BaseRoute]:
        side, log, secrets = self._side, self._audit.log, self._credentials.secrets
        return await open_api(
            access,
            side,
            audit=self._audit,
            keys=self._keys,
            tenants=open_tenant_desks(side, log, secrets, self._host.deployments, self._history),
            deploys=self._deploys,
        )

    async def _serve(self, app: AsgiApp, host: str, port: int) -> HttpServer:
        server = HttpServer(app, host, port)
        await server.start()
        self._stack.push_async_callback(server.stop, self._options.drain_seconds)
        return server

    async def _start_emulators(self) -> Mapping[str, str]:
        dev = DevSide(self._serve, self._side.http, self._side.clock)
        endpoints = await dev.start(
            self._stack,
            data_dir=self._options.data_dir,
            ingress_url=lambda: None if self.public is None else self.public.url,
            public_url=self._providers.any_base_url,
            options=self._providers.any_options,
        )
        self.emulators_url = dev.url
        return endpoints

    # ── Run ──────────────────────────────────────────────────────────────────────────────────

    def not_ready(self) -> list[str]:
        """Give the reasons why this process should get no traffic; empty when it is ready."""
        if stuck := self._watchdog.reasons():
            return stuck
        if not self._side.bus.is_connected:
            return ["NATS is not connected"]
        return self._pull_watch.reasons() if self._options.has_worker else []

    def _describe(self) -> Mapping[str, Any]:
        return {} if self._history is None else {"history": self._history.describe()}

    def _pull_states(self) -> dict[str, PullState]:
        return self._side.pull_states(self._host.working(), SILENT_SECONDS_MAX)

    async def wait_ended(self) -> None:
        """Wait for a signal; raises AppError when the program cannot go on."""
        await self._ending.wait()
        for task in self._background:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def reload(self) -> None:
        """Bring the bundle's present files into force; a bad bundle changes nothing."""
        if self._folder is None:
            return
        try:
            folder = await self._folder.read()
            before = self.bundle
            if before is not None and folder.bundle.revision == before.revision:
                return
            if broken := errors_of(folder.bundle.problems):
                # At the start the other flows run without it; here the old one goes on instead.
                raise bundle_error(broken)
            await self._deploy(folder, again=True)
        except AppError as error:
            _log.error("bundle.refused", error_code=error.code, reason=str(error))

    async def stop(self) -> None:
        """Stop in the order of the module's first lines."""
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await self._stack.aclose()

    def end(self) -> None:
        """Ask for the end; the first signal does."""
        self._ending.set()

    # ── Parts ────────────────────────────────────────────────────────────────────────────────

    async def _deploy_folder(self) -> None:
        """Deploy the folder's bundle, where there is one; on others' servers with caution."""
        if self._folder is None:
            return
        folder = await self._folder.read()
        await self._deploy(folder, is_cautious=self._options.bus is not None)
        for problem in errors_of(folder.bundle.problems):
            _log.error("flow.refused", place=problem.place, reason=problem.message)

    async def _deploy(
        self, folder: Folder, *, is_cautious: bool = False, again: bool = False
    ) -> None:
        if self._folder is not None:
            await self._folder.deploy(folder, is_cautious=is_cautious, again=again)
            self.bundle = folder.bundle

    def served(self) -> Mapping[str, int]:
        """Give the tenants that are served here, and how many flows each has."""
        return {tenant: len(each.flows) for tenant, each in self._host.deployments().items()}

    def _watch(self) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        if options.bundle is not None:
            reloader = Reloader(options.bundle, options.data_dir, self.reload)
            loop.add_signal_handler(signal.SIGHUP, reloader.request)
            self._spawn(reloader.run(watches_files=options.watches_files))
        if self._history is not None:
            self._spawn(self._history.run(self._history_world()))
        self._spawn(self._raise_failure(self._host.wait_failed()))
        if options.has_worker:
            self._spawn(self._pull_watch.run())
            self._spawn(self._kept.keep_up(lambda: self._host.deployments().values()))
        if self._server is not None:
            self._spawn(self._raise_failure(self._server.wait_given_up()))

    def _history_world(self) -> HistoryWorld:
        side, directory = self._side, self._deploys.directory
        env, meter = self._options.env, self._metrics.history
        return HistoryWorld(env, self._bus_settings, side.reader, directory, side.clock, meter)

    async def _raise_failure(self, failing: Awaitable[BaseException]) -> None:
        raise await failing

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda ended: None if ended.cancelled() else self.end())
        self._background.append(task)
