import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { usePages } from '../api/hooks';
import { Grant } from '../api/types';
import { Choice } from '../components/Choice';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { More } from '../components/More';
import { Offers } from '../components/Offers';
import { Nothing, Section, Show } from '../components/Section';
import { State } from '../components/State';
import { lasting, Time, utc } from '../components/Time';
import { shortRef } from '../model';
import { offered } from './said';

const VIEWS = {
  all: 'All',
  mine: 'Mine',
  'to-decide': 'To be decided by me',
  'to-look-at': 'Break-glass to look at',
};
const STATES = {
  any: 'Any',
  requested: 'requested',
  active: 'active',
  denied: 'denied',
  expired: 'expired',
  revoked: 'revoked',
};
const NAMES = {
  approve: 'Approve…',
  deny: 'Deny…',
  revoke: 'Revoke…',
  'look-at': 'Look at it…',
};
const SHORTEST_REASON = 8;

/** Access for a time: who asked for what, who decided, and what was taken in an emergency. */
export const Grants = () => {
  const [view, setView] = useState('all');
  const [state, setState] = useState('any');
  const query = new URLSearchParams({ limit: '10', view });
  if (state !== 'any') {
    query.set('state', state);
  }
  const grants = usePages<Grant>(`/access/grants?${query}`, 5);
  return (
    <Section
      title="Access for a time"
      actions={
        <Flex gap="2" style={{ flexWrap: 'wrap' }}>
          <Choice name="Show" of={VIEWS} value={view} choose={setView} />
          {view !== 'to-decide' && (
            <Choice name="State" of={STATES} value={state} choose={setState} />
          )}
        </Flex>
      }
    >
      <Show loaded={grants}>
        {found =>
          found.length === 0 ? (
            <Nothing
              what="No grant and no request is like that."
              how="What the policies do not permit can be asked for above."
            />
          ) : (
            <Flex direction="column" gap="5">
              {found.map(one => (
                <One key={one.id} of={one} done={grants.reload} />
              ))}
              <More pages={grants} />
            </Flex>
          )
        }
      </Show>
    </Section>
  );
};

const One = ({ of, done }: { of: Grant; done: () => void }) => {
  const [decision, setDecision] = useState<string>();
  return (
    <Flex direction="column" gap="2" style={{ overflowWrap: 'anywhere' }}>
      <Text as="h3" weight="bold">
        {shortRef(of.principal)}: {of.action} {of.scope} <State of={of.state} />{' '}
        {of.kind === 'break-glass' && (
          <State of="break-glass" text="taken by breaking the glass" />
        )}
      </Text>
      <Facts of={facts(of)} />
      <Offers of={offered(of)} names={NAMES} choose={setDecision} />
      {decision && (
        <Decide
          of={of}
          decision={decision}
          close={() => {
            setDecision(undefined);
            done();
          }}
        />
      )}
    </Flex>
  );
};

function facts(of: Grant): [string, React.ReactNode][] {
  const by = of.onBehalfOf
    ? `${shortRef(of.requestedBy)} for ${shortRef(of.onBehalfOf)}`
    : shortRef(of.requestedBy);
  const all: [string, React.ReactNode][] = [
    ['Purpose', of.purpose],
    ['Reason', of.reason],
    ['Asked by', by],
    ['When', <Time key="when" at={of.requestedAt} />],
    of.kind === 'grant'
      ? ['Decided by', decided(of)]
      : ['Looked at by', looked(of)],
    of.endedAt
      ? [
          'Ended',
          `${utc(of.endedAt)}${of.endReason ? `: ${of.endReason}` : ''}`,
        ]
      : [
          of.state === 'requested' ? 'For how long' : 'Ends',
          of.state === 'requested' ? lasting(of.seconds) : utc(of.endsAt),
        ],
  ];
  return all.filter(([, value]) => value !== null);
}

function decided({ decidedBy, comment, owner }: Grant): string {
  return decidedBy
    ? `${shortRef(decidedBy)}${comment ? `: ${comment}` : ''}`
    : `waits for ${shortRef(owner)}`;
}

function looked({
  lookedAtBy,
  lookedAtComment,
  justified,
  owner,
}: Grant): string {
  return lookedAtBy
    ? `${shortRef(lookedAtBy)}: ${
        justified ? 'justified' : 'not justified'
      }, ${lookedAtComment}`
    : `nobody yet; ${shortRef(owner)} has to`;
}

const Decide = ({
  of,
  decision,
  close,
}: {
  of: Grant;
  decision: string;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [justified, setJustified] = useState('yes');
  const at = `/access/grants/${of.id}`;
  const what = `${shortRef(of.principal)} to ${of.action} ${of.scope}`;
  switch (decision) {
    case 'approve':
    case 'deny':
      return (
        <Confirm
          title={`${
            decision === 'approve' ? 'Permit' : 'Do not permit'
          } ${what}?`}
          verb={decision === 'approve' ? 'Approve' : 'Deny'}
          destructive={decision === 'deny'}
          reason={decision === 'approve' ? 'optional' : 'required'}
          reasonLabel="Comment"
          act={comment => api.post(`${at}/${decision}`, { comment }, key)}
          close={close}
        >
          {decision === 'approve'
            ? `It begins now and ends by itself after ${lasting(of.seconds)}.`
            : 'The request is over. It can be asked for anew.'}
        </Confirm>
      );
    case 'revoke':
      return (
        <Confirm
          title={
            of.state === 'requested'
              ? 'Withdraw the request?'
              : `Take away from ${what}?`
          }
          verb="Revoke"
          destructive
          reason="required"
          shortest={SHORTEST_REASON}
          act={reason => api.post(`${at}/revoke`, { reason }, key)}
          close={close}
        >
          {of.state === 'requested'
            ? 'Nobody decides about it any more.'
            : 'It ends at once.'}
        </Confirm>
      );
    default:
      return (
        <Confirm
          title={`Was it right that ${shortRef(of.principal)} broke the glass?`}
          verb="Say so"
          reason="required"
          reasonLabel="What you found"
          shortest={SHORTEST_REASON}
          act={comment =>
            api.post(
              `${at}/look-at`,
              { justified: justified === 'yes', comment },
              key,
            )
          }
          close={close}
        >
          <Flex direction="column" gap="3">
            <Text>
              {of.reason}. If it was not justified and has not ended, it ends at
              once.
            </Text>
            <Choice
              name="Justified"
              of={{ yes: 'It was justified', no: 'It was not justified' }}
              value={justified}
              choose={setJustified}
            />
          </Flex>
        </Confirm>
      );
  }
};
