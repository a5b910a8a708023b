import { GenericContainer, StartupCheckStrategy, type StartupStatus } from 'testcontainers'

/** The caller itself waits for its server, which it knows better than an open port does. */
class NoWait extends StartupCheckStrategy {
  override async checkStartupState(): Promise<StartupStatus> {
    return 'SUCCESS'
  }
}

/**
 * A container whose ports are published on 127.0.0.1 alone: testcontainers would open them, and with them a database
 * without a password, to the whole network.
 */
export class LoopbackContainer extends GenericContainer {
  readonly #onCreated: (containerId: string) => void

  /** @param onCreated hears of the container before it is started, so that it can be guarded from its first moment. */
  constructor(image: string, onCreated: (containerId: string) => void) {
    super(image)
    this.#onCreated = onCreated
    this.withWaitStrategy(new NoWait())
    // The watchdog of ours clears it away: testcontainers' reaper would be one more image to fetch.
    this.withAutoCleanup(false)
  }

  protected override async beforeContainerCreated(): Promise<void> {
    const bindings: Record<string, { HostIp?: string; HostPort?: string }[]> = this.hostConfig.PortBindings ?? {}
    for (const places of Object.values(bindings)) {
      for (const place of places) place.HostIp = '127.0.0.1'
    }
  }

  protected override async containerCreated(containerId: string): Promise<void> {
    this.#onCreated(containerId)
  }
}
