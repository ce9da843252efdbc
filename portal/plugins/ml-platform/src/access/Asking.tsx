import { useApi } from '@backstage/frontend-plugin-api';
import { Alert, Button, Flex, Text, TextField } from '@backstage/ui';
import { useState } from 'react';
import { useSearchParams } from 'react-router-dom';

import { platformApiRef } from '../api/client';
import { useAction, useGet } from '../api/hooks';
import { Action, Decision, Page, Wishes } from '../api/types';
import { Choice } from '../components/Choice';
import { Fault } from '../components/Fault';
import { Show } from '../components/Section';
import { words } from '../components/State';
import { Ask, Wish } from './Ask';
import { partsOf, scopeOf, verdict } from './said';

const NO_PURPOSE = 'none';

/** Asks the policies whether one may do something, and leads to asking for it. */
export const Asking = () => {
  const wishes = useGet<Wishes>('/access/wishes');
  return <Show loaded={wishes}>{found => <Form wishes={found} />}</Show>;
};

const Form = ({ wishes }: { wishes: Wishes }) => {
  const [params] = useSearchParams();
  const given = partsOf(params.get('resource') ?? '');
  const [action, setAction] = useState(
    known(wishes, params.get('action')) ?? wishes.actions[0].action,
  );
  const { scopes, forPurpose } = wishes.actions.find(
    one => one.action === action,
  )!;
  const [chosen, setKind] = useState(given?.kind ?? '');
  const kind = scopes.includes(chosen) ? chosen : scopes[0];
  const [name, setName] = useState(given?.name ?? '');
  const [purpose, setPurpose] = useState(NO_PURPOSE);
  const wish: Wish = {
    action,
    scope: scopeOf(kind, name),
    purpose: forPurpose && purpose !== NO_PURPOSE ? purpose : null,
  };
  const ready = kind === 'platform' || name.trim().length > 0;
  return (
    <Flex direction="column" gap="4">
      <Flex gap="3" align="end" style={{ flexWrap: 'wrap' }}>
        <Choice
          name="Action"
          of={Object.fromEntries(
            wishes.actions.map(one => [one.action, words(one.action)]),
          )}
          value={action}
          choose={setAction}
        />
        <Choice
          name="Of"
          of={Object.fromEntries(
            scopes.map(one => [
              one,
              one === 'classification' ? 'all data of a class' : one,
            ]),
          )}
          value={kind}
          choose={setKind}
        />
        {kind !== 'platform' && (
          <TextField
            label={NAMES[kind]}
            size="small"
            value={name}
            onChange={setName}
            style={{ flex: '1 1 200px' }}
          />
        )}
        {forPurpose && (
          <Choice
            name="Purpose"
            of={{
              [NO_PURPOSE]: 'none stated',
              ...Object.fromEntries(
                Object.entries(wishes.purposes).map(([one, reaches]) => [
                  one,
                  `${one} (up to ${reaches})`,
                ]),
              ),
            }}
            value={purpose}
            choose={setPurpose}
          />
        )}
      </Flex>
      <Answer
        // Another question has another answer.
        key={JSON.stringify(wish)}
        wish={wish}
        ready={ready}
        wishes={wishes}
        decidable={kind !== 'classification'}
      />
    </Flex>
  );
};

const NAMES: Record<string, string> = {
  model: 'Model',
  dataset: 'Data set (namespace/name)',
  classification: 'Class',
};

const Answer = ({
  wish,
  ready,
  wishes,
  decidable,
}: {
  wish: Wish;
  ready: boolean;
  wishes: Wishes;
  /** Whether the policies can be asked; of all data of a class they can't. */
  decidable: boolean;
}) => {
  const api = useApi(platformApiRef);
  const [decision, setDecision] = useState<Decision>();
  const [asking, setAsking] = useState<'ask' | 'break-glass'>();
  const check = useAction(async () => {
    const { action, scope, purpose } = wish;
    const body = { action, resource: scope, purpose };
    setDecision(
      await api.post<Decision>('/access/decisions', body, crypto.randomUUID()),
    );
  });
  const refused = decision && !decision.allowed ? decision : undefined;
  const breakable = wishes.actions.find(
    one => one.action === wish.action,
  )?.breakGlass;
  const actions = useGet<Page<Action>>(
    refused && breakable
      ? `/access/actions?${new URLSearchParams({ resource: refused.resource })}`
      : null,
  );
  const breaking = actions.data?.items.find(
    one => one.action === 'break-glass',
  );
  return (
    <Flex direction="column" gap="3">
      {check.error && <Fault error={check.error} />}
      {decision && (
        <Alert
          role="status"
          status={decision.allowed ? 'success' : 'warning'}
          icon
          title={decision.allowed ? 'You may.' : 'You may not.'}
          description={verdict(decision)}
        />
      )}
      <Flex gap="2" style={{ flexWrap: 'wrap' }}>
        {decidable && (
          <Button
            size="small"
            isDisabled={!ready}
            isPending={check.busy}
            onPress={() => check.run()}
          >
            May I?
          </Button>
        )}
        <Button
          size="small"
          variant="secondary"
          isDisabled={
            !ready || (decision && (decision.allowed || !decision.request))
          }
          onPress={() => setAsking('ask')}
        >
          Ask for access…
        </Button>
        {refused && breaking?.allowed && (
          <Button
            size="small"
            destructive
            onPress={() => setAsking('break-glass')}
          >
            Break the glass…
          </Button>
        )}
      </Flex>
      {refused && !refused.request && (
        <Text variant="body-small" color="secondary">
          A rule forbids it, so no grant would help: change what it names.
        </Text>
      )}
      {asking && (
        <Ask
          wish={wish}
          wishes={wishes}
          emergency={asking === 'break-glass'}
          close={() => setAsking(undefined)}
        />
      )}
    </Flex>
  );
};

function known(wishes: Wishes, action: string | null): string | undefined {
  return wishes.actions.find(one => one.action === action)?.action;
}
