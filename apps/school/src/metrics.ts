import { type Meter, metrics } from '@opentelemetry/api'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { AggregationType, MeterProvider } from '@opentelemetry/sdk-metrics'

export interface Metrics {
  /** For the process's own instruments. */
  readonly meter: Meter
  /** Everything measured in this process, the packages' instruments included, in the text format of Prometheus. */
  text(): Promise<string>
  stop(): Promise<void>
}

/** In seconds, as all durations here are: the SDK's own boundaries are meant for milliseconds. */
const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const durations = {
  instrumentName: '*.duration',
  aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries } },
} as const

/**
 * Makes this process measure. To be called before the packages are loaded: OpenTelemetry binds an instrument to the
 * provider that is registered when it is made, and theirs are made as their modules load. That is why this is an entry of
 * its own, which loads none of them. Opens no port; whoever serves HTTP serves the text.
 */
export function startMetrics(): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true })
  const provider = new MeterProvider({ readers: [reader], views: [durations] })
  metrics.setGlobalMeterProvider(provider)
  // Without `target_info`, which would tell the path of the program.
  const serializer = new PrometheusSerializer('', false, undefined, true)
  return {
    meter: provider.getMeter('school'),
    text: async () => serializer.serialize((await reader.collect()).resourceMetrics),
    stop: async () => {
      metrics.disable()
      await provider.shutdown()
    },
  }
}
