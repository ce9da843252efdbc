import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { useGet, usePages } from '../../api/hooks';
import { Action, Deployment, ModelSummary, Page, Place } from '../../api/types';
import { Facts } from '../../components/Facts';
import { Nothing, Section, Show } from '../../components/Section';
import { sentences, State } from '../../components/State';
import { Deploy } from './Deploy';
import { Experiment } from './Experiment';
import { History } from './History';
import { Rollout } from './Rollout';
import { Actions } from './actions';
import { useModelName } from '../useModelName';

/** Deployments of a model: what is live where, the rollout under way, and everything before. */
export const DeploymentsTab = () => {
  const model = useModelName();
  const summary = useGet<ModelSummary>(`/overview/models/${model}`, 10);
  const history = usePages<Deployment>(
    `/deployments?model=${model}&limit=20`,
    10,
  );
  const reload = () => {
    summary.reload();
    history.reload();
  };
  return (
    <Flex direction="column" gap="4">
      <Show loaded={summary}>
        {({ places }) => (
          <>
            <Asking
              model={model}
              places={places.map(one => one.environment)}
              done={reload}
            />
            {places.map(({ environment }) => (
              <Environment
                key={environment}
                model={model}
                environment={environment}
                done={reload}
              />
            ))}
            {places.length === 0 && (
              <Nothing
                what="No version has been deployed yet."
                how="Deploy one here, or by `platform deploy` in the repository."
              />
            )}
          </>
        )}
      </Show>
      <Section title="History">
        <History of={history} />
      </Section>
    </Flex>
  );
};

const Asking = ({
  model,
  places,
  done,
}: {
  model: string;
  places: string[];
  done: () => void;
}) => {
  const known = useGet<{ items: { name: string }[] }>('/environments');
  const environments = known.data?.items.map(({ name }) => name) ?? places;
  const target = environments[environments.length - 1];
  const actions = useGet<Page<Action>>(
    target ? `/environments/${target}/models/${model}/actions` : null,
  );
  const deploy = actions.data?.items.find(one => one.action === 'deploy');
  const [open, setOpen] = useState(false);
  return (
    <Flex align="center" gap="3" style={{ flexWrap: 'wrap' }}>
      <Button isDisabled={!deploy?.allowed} onPress={() => setOpen(true)}>
        Deploy a version…
      </Button>
      {deploy && !deploy.allowed && (
        <Text color="secondary">{sentences(deploy.reason, deploy.fix)}</Text>
      )}
      {open && (
        <Deploy
          model={model}
          environments={environments}
          close={() => {
            setOpen(false);
            done();
          }}
        />
      )}
    </Flex>
  );
};

const Environment = ({
  model,
  environment,
  done,
}: {
  model: string;
  environment: string;
  done: () => void;
}) => {
  const place = useGet<Place>(
    `/environments/${environment}/models/${model}`,
    3,
  );
  return (
    <Section title={environment}>
      <Show loaded={place}>
        {found => (
          <Flex direction="column" gap="4">
            <Facts
              of={[
                [
                  'Live',
                  found.champion === null
                    ? 'nothing yet'
                    : `v${found.champion}`,
                ],
                [
                  'Traffic',
                  found.traffic.length === 0
                    ? '—'
                    : found.traffic
                        .map(one => `v${one.version} ${one.weight} %`)
                        .join(', '),
                ],
                ['Servers', <Servers key="servers" of={found} />],
                ['Address', found.url],
              ]}
            />
            <Actions
              place={found}
              done={() => {
                place.reload();
                done();
              }}
            />
            {found.rollout && <Rollout id={found.rollout.id} />}
            <Experiment
              model={model}
              environment={environment}
              done={() => {
                place.reload();
                done();
              }}
            />
          </Flex>
        )}
      </Show>
    </Section>
  );
};

const Servers = ({ of }: { of: Place }) =>
  of.replicas.length === 0 ? (
    <>none</>
  ) : (
    <Flex direction="column" gap="0.5">
      {of.replicas.map(({ version, replica, state, message }) => (
        <span key={`${version}/${replica}`}>
          <State
            of={state}
            text={`v${version}/${replica} ${state}${
              message ? `: ${message}` : ''
            }`}
          />
        </span>
      ))}
    </Flex>
  );
