import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Select, Text, TextAreaField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useAction, useGet } from '../api/hooks';
import { ModelSummary, Place } from '../api/types';
import { Fault } from '../components/Fault';
import { Nothing, Section, Show } from '../components/Section';
import { milliseconds } from './deployments/Rollout';
import { useModelName } from './useModelName';

interface Trial {
  status: number;
  body: unknown;
  version: number | null;
  milliseconds: number;
}

/** Sends the live version a request, and shows what it answers. */
export const EndpointTab = () => {
  const model = useModelName();
  const summary = useGet<ModelSummary>(`/overview/models/${model}`);
  const [chosen, setChosen] = useState<string>();
  return (
    <Section title="Try a request">
      <Show loaded={summary}>
        {({ type, places }) => {
          const live = places.filter(place => place.champion !== null);
          if (type !== 'realtime') {
            return (
              <Nothing
                what={`A ${type} model takes no requests.`}
                how={
                  type === 'batch'
                    ? 'It scores days; see its runs by `platform batch`.'
                    : 'It takes messages from its stream.'
                }
              />
            );
          }
          if (live.length === 0) {
            return (
              <Nothing
                what="No version is live yet."
                how="Deploy one, and try it here."
              />
            );
          }
          const environment = chosen ?? live[live.length - 1].environment;
          return (
            <Flex direction="column" gap="4">
              <Select
                label="Environment"
                options={live.map(place => ({
                  id: place.environment,
                  label: place.environment,
                }))}
                value={environment}
                onChange={value => setChosen(String(value))}
              />
              <Trying
                key={environment}
                model={model}
                environment={environment}
              />
            </Flex>
          );
        }}
      </Show>
    </Section>
  );
};

const Trying = ({
  model,
  environment,
}: {
  model: string;
  environment: string;
}) => {
  const at = `/environments/${environment}/models/${model}`;
  const place = useGet<Place>(at);
  const example = useGet<{
    request: unknown;
    columns: { name: string; type: string; required: boolean }[];
  }>(`${at}/example`);
  return (
    <Show loaded={example}>
      {({ request, columns }) => (
        <Flex direction="column" gap="3">
          <Text color="secondary">
            Open Inference Protocol v2 at <code>{place.data?.url}</code>.
            Columns:{' '}
            {columns.map(({ name, type }) => `${name} (${type})`).join(', ')}.
          </Text>
          <Request at={at} example={JSON.stringify(request, null, 2)} />
        </Flex>
      )}
    </Show>
  );
};

const Request = ({ at, example }: { at: string; example: string }) => {
  const api = useApi(platformApiRef);
  const [body, setBody] = useState(example);
  const [answer, setAnswer] = useState<Trial>();
  const { run, busy, error } = useAction(async (request: unknown) => {
    setAnswer(await api.post<Trial>(`${at}/trial`, { request }));
  });
  const wrong = invalid(body);
  return (
    <Flex direction="column" gap="3">
      <TextAreaField
        label="Request"
        description={
          wrong ?? 'JSON; filled in from the live version’s own schema.'
        }
        isInvalid={Boolean(wrong)}
        value={body}
        onChange={setBody}
        rows={14}
      />
      <Flex gap="2">
        <Button
          isPending={busy}
          isDisabled={busy || Boolean(wrong)}
          onPress={() => run(JSON.parse(body))}
        >
          Send
        </Button>
        <Button variant="secondary" onPress={() => setBody(example)}>
          Start again from the example
        </Button>
      </Flex>
      {error && <Fault error={error} />}
      {answer && (
        <Flex direction="column" gap="1" aria-live="polite">
          <Text weight="bold">
            {answer.status} after {milliseconds(answer.milliseconds)}
            {answer.version === null ? '' : `, answered by v${answer.version}`}
          </Text>
          <pre
            tabIndex={0}
            style={{ overflow: 'auto', maxHeight: 360, margin: 0 }}
          >
            {typeof answer.body === 'string'
              ? answer.body
              : JSON.stringify(answer.body, null, 2)}
          </pre>
        </Flex>
      )}
    </Flex>
  );
};

function invalid(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `This is no JSON: ${error instanceof Error ? error.message : error}`;
  }
}
