import { Flex, Text } from '@backstage/ui';

import { Pages } from '../../api/hooks';
import { Deployment } from '../../api/types';
import { Details } from '../../components/Details';
import { Facts } from '../../components/Facts';
import { Grid } from '../../components/Grid';
import { More } from '../../components/More';
import { Nothing, Show } from '../../components/Section';
import { State, words } from '../../components/State';
import { Time, utc } from '../../components/Time';
import { shortRef } from '../../model';
import { Rollout } from './Rollout';

/** Deployments, newest first; each opens to who asked, who approved and what was required. */
export const History = ({ of }: { of: Pages<Deployment> }) => (
  <Show loaded={of}>
    {deployments =>
      deployments.length === 0 ? (
        <Nothing what="Nothing has been deployed yet." />
      ) : (
        <Flex direction="column" gap="2">
          {deployments.map(one => (
            <One key={one.id} of={one} />
          ))}
          <More pages={of} />
        </Flex>
      )
    }
  </Show>
);

const One = ({ of }: { of: Deployment }) => {
  const what = of.kind === 'rollback' ? 'Rollback to' : 'Rollout of';
  return (
    <Details
      title={`${what} v${of.version} in ${of.environment}: ${words(
        of.outcome ?? of.phase,
      )}`}
      subtitle={`${utc(of.requestedAt)} by ${shortRef(of.requestedBy)}`}
    >
      {() => <Whole of={of} />}
    </Details>
  );
};

const Whole = ({ of }: { of: Deployment }) => (
  <Flex direction="column" gap="4">
    <Facts
      of={[
        ['Asked for by', of.requestedBy],
        ['On behalf of', of.onBehalfOf],
        ['Asked for', <Time key="at" at={of.requestedAt} />],
        [
          'Over',
          of.finishedAt ? <Time key="end" at={of.finishedAt} /> : 'not yet',
        ],
        ['Approvals', <Approvals key="approvals" of={of} />],
        ['Break glass', of.breakGlass?.reason ?? 'no'],
      ]}
    />
    {of.requirements.length > 0 && (
      <Grid
        caption="What the policy required"
        head={['Requirement', 'State', 'Why']}
        rows={of.requirements.map(({ requirement, state, message }) => [
          words(requirement),
          <State key="state" of={state} />,
          message,
        ])}
      />
    )}
    {of.kind === 'rollout' && of.steps.length > 0 && <Rollout id={of.id} />}
    {of.kind === 'rollback' && of.reason && (
      <Text color="secondary">{of.reason}</Text>
    )}
  </Flex>
);

const Approvals = ({ of }: { of: Deployment }) =>
  of.approvals.length === 0 ? (
    <>none</>
  ) : (
    <Flex direction="column" gap="1">
      {of.approvals.map(({ by, decision, comment, at }) => (
        <span key={at}>
          {decision === 'approve' ? 'approved' : 'rejected'} by {by}
          {comment && `: ${comment}`}
        </span>
      ))}
    </Flex>
  );
