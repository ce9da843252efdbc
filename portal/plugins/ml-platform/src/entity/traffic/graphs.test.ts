import { TrafficSeries } from '../../api/types';
import {
  errorsOf,
  latencyOf,
  momentsOf,
  perSecond,
  rateOf,
  share,
  short,
} from './graphs';

const point = (at: string, requests: number) => ({
  at,
  requests,
  rate: requests / 20,
  errorRatio: requests ? 0.0005 : null,
  p50Ms: requests ? 4 : null,
  p95Ms: requests ? 90 : null,
  p99Ms: requests ? 1200 : null,
});

const TRAFFIC: TrafficSeries = {
  type: 'realtime',
  environment: 'production',
  beginsAt: '2026-03-01T12:00:00Z',
  endsAt: '2026-03-01T12:01:20Z',
  stepSeconds: 20,
  versions: [
    { version: 1, live: false, points: [point('2026-03-01T12:00:00Z', 10)] },
    {
      version: 2,
      live: true,
      points: [
        point('2026-03-01T12:00:20Z', 40),
        point('2026-03-01T12:00:40Z', 0),
      ],
    },
  ],
  leftOut: [],
  limits: [
    {
      slo: 'availability',
      objective: 99.9,
      errorRatio: 0.001,
      latencyMs: null,
    },
    { slo: 'latency', objective: 99, errorRatio: null, latencyMs: 300 },
  ],
  moments: [],
};

describe('graphs of traffic', () => {
  it('have a row for each point and a line for each version, unknown where nothing is known', () => {
    const { rows, series } = rateOf(TRAFFIC);
    expect(series.map(({ name }) => name)).toEqual(['v1', 'v2']);
    expect(rows).toEqual([
      { at: '12:00:00', v1rate: 0.5, v2rate: null },
      { at: '12:00:20', v1rate: null, v2rate: 2 },
      { at: '12:00:40', v1rate: null, v2rate: 0 },
      { at: '12:01:00', v1rate: null, v2rate: null },
    ]);
  });

  it('say in words what is newest, and what is promised', () => {
    expect(rateOf(TRAFFIC).summary).toBe('v1 0.5/s, v2 0/s');
    expect(errorsOf(TRAFFIC).summary).toBe(
      'v1 0.05 %, v2 0.05 %, limit availability: 0.1 %',
    );
    expect(latencyOf(TRAFFIC).limits).toEqual([
      { value: 300, name: 'latency: 99 % in 300 ms' },
    ]);
    expect(latencyOf(TRAFFIC).series.map(({ name }) => name)).toContain(
      'v2 p99',
    );
  });

  it('name the day where a window has several', () => {
    const week = {
      ...TRAFFIC,
      endsAt: '2026-03-08T12:00:00Z',
      stepSeconds: 3600,
    };
    expect(rateOf(week).rows[0].at).toBe('03-01 12:00');
    expect(rateOf(week).rows).toHaveLength(168);
  });

  it('show moments only where there is an objective that counts them', () => {
    expect(momentsOf(TRAFFIC)).toBeNull();
    const points = [{ at: TRAFFIC.beginsAt, badRatio: 0.25 }];
    const late = {
      ...TRAFFIC,
      moments: [{ slo: 'fresh', version: 3, points }],
    };
    expect(momentsOf(late)?.summary).toBe('fresh v3 25 %');
  });

  it('have figures that can be read at a glance', () => {
    expect([perSecond(1234.5), perSecond(0.0123)]).toEqual([
      '1235/s',
      '0.012/s',
    ]);
    expect([share(0), share(0.0005), share(1)]).toEqual([
      '0 %',
      '0.05 %',
      '100 %',
    ]);
    expect([short(4.26), short(90), short(1200)]).toEqual([
      '4.3 ms',
      '90 ms',
      '1.2 s',
    ]);
  });
});
