import { Alert, Flex, Grid, Text } from '@backstage/ui';
import { useState } from 'react';

import { useFollow, useGet } from '../../api/hooks';
import { Deployment, Sample } from '../../api/types';
import { COLOURS, Lines } from '../../components/Lines';
import { Show } from '../../components/Section';
import { State, words } from '../../components/State';
import { Checks } from './Checks';
import { Steps } from './Steps';

/** All samples that the platform keeps of a rollout. */
const MOST_SAMPLES = 2000;

/** A rollout as it goes: its steps, and old and new version beside their limits; live until it is over. */
export const Rollout = ({ id }: { id: string }) => (
  <Followed key={id} id={id} />
);

const Followed = ({ id }: { id: string }) => {
  const first = useGet<Deployment>(`/deployments/${id}`);
  const [live, setLive] = useState<Deployment>();
  const [news, setNews] = useState<Sample[]>([]);
  const over = (live ?? first.data)?.phase === 'completed';
  // The stream brings the samples from before too; where nothing comes any more they are asked for.
  const lost = useFollow(
    first.data && !over ? `/deployments/${id}/events` : null,
    {
      deployment: setLive,
      end: setLive,
      sample: (one: Sample) => setNews(seen => [...seen, one]),
    },
  );
  const kept = useGet<{ items: Sample[] }>(
    over ? `/deployments/${id}/samples?limit=${MOST_SAMPLES}` : null,
  );
  return (
    <Show loaded={first}>
      {loaded => {
        const deployment = live ?? loaded;
        return (
          <Flex direction="column" gap="4">
            {lost && !over && (
              <Alert
                status="warning"
                icon
                title="The connection to the platform is lost; what is shown may be old."
              />
            )}
            <Summary of={deployment} />
            <Steps of={deployment.steps} />
            <Graphs of={deployment} samples={kept.data?.items ?? news} />
            <Checks of={deployment.steps} />
          </Flex>
        );
      }}
    </Show>
  );
};

/** What a deployment is, in one line, with its reason. */
export const Summary = ({ of }: { of: Deployment }) => {
  const against = of.previousVersion ? ` from v${of.previousVersion}` : '';
  return (
    <Flex direction="column" gap="1">
      <Text>
        v{of.version}
        {against} in {of.environment}: <State of={of.outcome ?? of.phase} />
      </Text>
      {of.reason && <Text color="secondary">{of.reason}</Text>}
    </Flex>
  );
};

const Graphs = ({ of, samples }: { of: Deployment; samples: Sample[] }) => {
  if (samples.length === 0) {
    return null;
  }
  const begun = Date.parse(samples[0].at);
  const data = samples.map(({ at, canary, primary }) => ({
    at: `${Math.round((Date.parse(at) - begun) / 1000)} s`,
    newSuccess: canary.successRate ?? null,
    oldSuccess: primary.successRate ?? null,
    newLatency: canary.latencyMs ?? null,
    oldLatency: primary.latencyMs ?? null,
  }));
  const latest = samples[samples.length - 1];
  const success = limitOf(latest, /success/);
  const latency = limitOf(latest, /latency/);
  const percentile = latest.canary.latencyPercentile;
  const names = {
    new: `v${of.version} (new)`,
    old: `v${of.previousVersion ?? '?'} (old)`,
  };
  const series = (what: string) => [
    { key: `new${what}`, name: names.new, colour: COLOURS[1] },
    {
      key: `old${what}`,
      name: names.old,
      colour: COLOURS[0],
      stroke: 'dashed' as const,
    },
  ];
  const said = (
    value: number | null | undefined,
    format: (one: number) => string,
  ) => (value === null || value === undefined ? 'unknown' : format(value));
  return (
    <Grid.Root columns={{ initial: '1', md: '2' }} gap="4">
      <Lines
        title="Success rate"
        summary={`Success rate: ${names.new} ${said(
          latest.canary.successRate,
          percent,
        )}, ${names.old} ${said(latest.primary.successRate, percent)}`}
        data={data}
        x="at"
        series={series('Success')}
        limits={
          success === null
            ? []
            : [{ value: success, name: `limit ${percent(success)}` }]
        }
        format={percent}
      />
      <Lines
        title={`Latency${percentile ? `, p${percentile}` : ''}`}
        summary={`Latency: ${names.new} ${said(
          latest.canary.latencyMs,
          milliseconds,
        )}, ${names.old} ${said(latest.primary.latencyMs, milliseconds)}`}
        data={data}
        x="at"
        series={series('Latency')}
        limits={
          latency === null
            ? []
            : [{ value: latency, name: `limit ${milliseconds(latency)}` }]
        }
        format={milliseconds}
      />
    </Grid.Root>
  );
};

function limitOf({ limits }: Sample, name: RegExp): number | null {
  const found = Object.entries(limits).find(([check]) => name.test(check));
  return found ? found[1] : null;
}

/** Returns a share as percent. */
export function percent(value: number): string {
  return `${(value * 100).toFixed(value > 0.99 && value < 1 ? 2 : 1)} %`;
}

/** Returns milliseconds with their unit. */
export function milliseconds(value: number): string {
  return value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

/** Returns the name of a check in words. */
export function checkName(name: string): string {
  return words(name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase());
}
