import { Flex, Grid as Columns, Select, Text } from '@backstage/ui';
import { useState } from 'react';

import { useGet } from '../../api/hooks';
import { ModelSummary, TrafficSeries } from '../../api/types';
import { Details } from '../../components/Details';
import { Grid } from '../../components/Grid';
import { Lines } from '../../components/Lines';
import { Nothing, Section, Show } from '../../components/Section';
import {
  errorsOf,
  Graph,
  latencyOf,
  momentsOf,
  perSecond,
  rateOf,
  share,
  short,
} from './graphs';

const WINDOWS: [string, string][] = [
  ['1h', '1 hour'],
  ['6h', '6 hours'],
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
];
const REFRESH_SECONDS = 10;

/** What the users of a model met: requests, errors and latency of each version over time, beside what is promised. */
export const Traffic = ({ model }: { model: string }) => {
  const summary = useGet<ModelSummary>(`/overview/models/${model}`, 10);
  const [chosen, setChosen] = useState<string>();
  const [window, setWindow] = useState('1h');
  const places = summary.data?.places.map(one => one.environment) ?? [];
  const environment = chosen ?? places[places.length - 1];
  return (
    <Section
      title="Traffic"
      actions={
        environment && (
          <Flex gap="2" style={{ flexWrap: 'wrap' }}>
            <Select
              label="Environment"
              size="small"
              options={places.map(id => ({ id, label: id }))}
              value={environment}
              onChange={value => setChosen(String(value))}
            />
            <Select
              label="Window"
              size="small"
              options={WINDOWS.map(([id, label]) => ({ id, label }))}
              value={window}
              onChange={value => setWindow(String(value))}
            />
          </Flex>
        )
      }
    >
      <Show loaded={summary}>
        {() =>
          environment ? (
            <In
              key={environment}
              model={model}
              environment={environment}
              window={window}
            />
          ) : (
            <Nothing
              what="No version has been deployed yet."
              how="Traffic is counted from the first request to a live version."
            />
          )
        }
      </Show>
    </Section>
  );
};

const In = ({
  model,
  environment,
  window,
}: {
  model: string;
  environment: string;
  window: string;
}) => {
  const traffic = useGet<TrafficSeries>(
    `/observability/models/${model}/series?environment=${environment}&window=${window}`,
    REFRESH_SECONDS,
  );
  return (
    <Show loaded={traffic}>
      {found =>
        found.versions.length === 0 && found.moments.length === 0 ? (
          <Empty of={found} />
        ) : (
          <Graphs of={found} />
        )
      }
    </Show>
  );
};

const Empty = ({ of }: { of: TrafficSeries }) =>
  of.type === 'batch' ? (
    <Nothing
      what="A batch model takes no requests."
      how="With a freshness objective in model.yaml, this shows when its answers were too old."
    />
  ) : (
    <Nothing
      what={`Nothing was ${of.type === 'streaming' ? 'consumed' : 'asked'} in ${
        of.environment
      } in this window.`}
      how="Samples are read every few seconds; what came just now shows within a minute."
    />
  );

const Graphs = ({ of }: { of: TrafficSeries }) => {
  const moments = momentsOf(of);
  const messages = of.type === 'streaming' ? 'Messages' : 'Requests';
  return (
    <Flex direction="column" gap="4">
      <Columns.Root columns={{ initial: '1', lg: '3' }} gap="4">
        {of.versions.length > 0 && (
          <>
            <Drawn title={messages} of={rateOf(of)} format={perSecond} />
            <Drawn title="Errors" of={errorsOf(of)} format={share} />
            <Drawn title="Latency" of={latencyOf(of)} format={short} />
          </>
        )}
        {moments && (
          <Drawn title="Moments too late" of={moments} format={share} />
        )}
      </Columns.Root>
      {of.leftOut.length > 0 && (
        <Text color="secondary">
          Older versions that answered too:{' '}
          {of.leftOut.map(one => `v${one}`).join(', ')}.
        </Text>
      )}
      {of.versions.length > 0 && (
        <Details title="Newest figures" subtitle="The same as a table">
          {() => <Newest of={of} />}
        </Details>
      )}
    </Flex>
  );
};

const Drawn = ({
  title,
  of,
  format,
}: {
  title: string;
  of: Graph;
  format: (value: number) => string;
}) => (
  <Lines
    title={title}
    summary={`${title}, newest: ${of.summary}`}
    data={of.rows}
    x="at"
    series={of.series}
    limits={of.limits}
    fromZero
    format={format}
  />
);

const Newest = ({ of }: { of: TrafficSeries }) => (
  <Grid
    caption="What each version did last, in UTC"
    head={['Version', 'At', 'Rate', 'Errors', 'p50', 'p95', 'p99']}
    rows={of.versions.map(({ version, live, points }) => {
      // Of the point that has just begun too little is known.
      const last = points.filter(({ rate }) => rate !== null).pop();
      const told = (
        value: number | null | undefined,
        format: (one: number) => string,
      ) => (value === null || value === undefined ? '—' : format(value));
      return [
        `v${version}${live ? ' (live)' : ''}`,
        last ? last.at.slice(0, 19).replace('T', ' ') : '—',
        told(last?.rate, perSecond),
        told(last?.errorRatio, share),
        told(last?.p50Ms, short),
        told(last?.p95Ms, short),
        told(last?.p99Ms, short),
      ];
    })}
  />
);
