import { Limit, TrafficSeries, TrafficPoint } from '../../api/types';
import { COLOURS, Series } from '../../components/Lines';

/** A graph's rows, lines and limits, and what is newest in it in words. */
export interface Graph {
  rows: Record<string, number | string | null>[];
  series: Series[];
  limits: { value: number; name: string }[];
  summary: string;
}

type Figure = 'rate' | 'errorRatio' | 'p50Ms' | 'p95Ms' | 'p99Ms';

const QUANTILES: [Figure, string, Series['stroke']][] = [
  ['p50Ms', 'p50', 'dotted'],
  ['p95Ms', 'p95', 'dashed'],
  ['p99Ms', 'p99', undefined],
];

const DAY_SECONDS = 86_400;

/** Returns a graph of requests a second. */
export function rateOf(traffic: TrafficSeries): Graph {
  return graph(traffic, [['rate', '', undefined]], perSecond, []);
}

/** Returns a graph of the share of requests that failed. */
export function errorsOf(traffic: TrafficSeries): Graph {
  const limits = traffic.limits.flatMap(({ slo, errorRatio }) =>
    errorRatio === null
      ? []
      : [{ value: errorRatio, name: `${slo}: ${share(errorRatio)}` }],
  );
  return graph(traffic, [['errorRatio', '', undefined]], share, limits);
}

/** Returns a graph of the time within which shares of the answers came. */
export function latencyOf(traffic: TrafficSeries): Graph {
  const limits = traffic.limits.flatMap(({ latencyMs, ...of }: Limit) =>
    latencyMs === null
      ? []
      : [
          {
            value: latencyMs,
            name: `${of.slo}: ${of.objective} % in ${short(latencyMs)}`,
          },
        ],
  );
  return graph(traffic, QUANTILES, short, limits);
}

/** Returns a graph of the share of moments at which objectives did not hold, or null where none counts moments. */
export function momentsOf(traffic: TrafficSeries): Graph | null {
  if (traffic.moments.length === 0) {
    return null;
  }
  const lines = traffic.moments.map(({ slo, version, points }, index) => ({
    series: {
      key: `${slo}/${version}`,
      name: `${slo} v${version}`,
      colour: COLOURS[index % COLOURS.length],
    },
    points: points.map(one => [one.at, one.badRatio] as const),
  }));
  return joined(traffic, lines, share, []);
}

function graph(
  traffic: TrafficSeries,
  figures: [Figure, string, Series['stroke']][],
  format: (value: number) => string,
  limits: Graph['limits'],
): Graph {
  const lines = traffic.versions.flatMap(({ version, points }, index) =>
    figures.map(([figure, label, stroke]) => ({
      series: {
        key: `v${version}${figure}`,
        name: label ? `v${version} ${label}` : `v${version}`,
        colour: COLOURS[index % COLOURS.length],
        stroke,
      },
      points: points.map((one: TrafficPoint) => [one.at, one[figure]] as const),
    })),
  );
  return joined(traffic, lines, format, limits);
}

function joined(
  { beginsAt, endsAt, stepSeconds }: TrafficSeries,
  lines: { series: Series; points: (readonly [string, number | null])[] }[],
  format: (value: number) => string,
  limits: Graph['limits'],
): Graph {
  const begin = Date.parse(beginsAt);
  const count = Math.round((Date.parse(endsAt) - begin) / 1000 / stepSeconds);
  const whole = (count * stepSeconds) / DAY_SECONDS;
  const rows: Graph['rows'] = Array.from({ length: count }, (_, index) => ({
    at: clock(begin + index * stepSeconds * 1000, stepSeconds, whole),
    ...Object.fromEntries(lines.map(({ series }) => [series.key, null])),
  }));
  for (const { series, points } of lines) {
    for (const [at, value] of points) {
      const row =
        rows[Math.round((Date.parse(at) - begin) / 1000 / stepSeconds)];
      if (row) {
        row[series.key] = value;
      }
    }
  }
  const newest = lines.map(({ series, points }) => {
    const last = points.filter(([, value]) => value !== null).pop();
    return `${series.name} ${last ? format(last[1] as number) : 'unknown'}`;
  });
  const said = limits.map(({ name }) => `limit ${name}`);
  return {
    rows,
    series: lines.map(({ series }) => series),
    limits,
    summary: [...newest, ...said].join(', '),
  };
}

/** Returns the time of a point in UTC, with its day where a window has several. */
function clock(at: number, step: number, days: number): string {
  const text = new Date(at).toISOString();
  const time = text.slice(11, step < 60 ? 19 : 16);
  return days > 1.1 ? `${text.slice(5, 10)} ${time}` : time;
}

/** Returns requests a second. */
export function perSecond(value: number): string {
  return `${precise(value)}/s`;
}

/** Returns a share in percent, small ones too. */
export function share(value: number): string {
  return `${precise(100 * value)} %`;
}

/** Returns milliseconds, long ones in seconds. */
export function short(value: number): string {
  return value < 1000 ? `${precise(value)} ms` : `${precise(value / 1000)} s`;
}

function precise(value: number): string {
  return value >= 100
    ? String(Math.round(value))
    : String(Number(value.toPrecision(2)));
}
