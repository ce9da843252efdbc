import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet } from '../api/hooks';
import { WholeSubjectRequest } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Facts } from '../components/Facts';
import { Grid } from '../components/Grid';
import { Offers } from '../components/Offers';
import { Nothing, Show } from '../components/Section';
import { State, words } from '../components/State';
import { Time, utc } from '../components/Time';
import { shortRef } from '../model';
import { Certificate } from './Certificates';

const STEPS: Record<string, string> = {
  erase: 'Ask for the erasure…',
  confirm: 'Confirm the erasure…',
};
/** Where each step can be the next one. */
const AT: Record<string, string[]> = {
  erase: ['found', 'partly_erased', 'failed'],
  confirm: ['awaiting_confirmation'],
};

/** Keeps a place readable on a telephone. */
const LONG = { display: 'inline-block', minWidth: 160 };

/** A data-subject request: where the person was found, which models know it, and what became of it. */
export const OneRequest = ({ id }: { id: string }) => {
  const request = useGet<WholeSubjectRequest>(
    `/privacy/subject-requests/${id}`,
    3,
  );
  return (
    <Show loaded={request}>
      {found => <Whole of={found} done={request.reload} />}
    </Show>
  );
};

const Whole = ({ of, done }: { of: WholeSubjectRequest; done: () => void }) => {
  const [step, setStep] = useState<string>();
  return (
    <Flex direction="column" gap="4">
      <Facts
        of={[
          ['State', <State key="state" of={of.state} />],
          [
            'Due',
            of.overdue ? (
              <State
                key="due"
                of="overdue"
                text={`overdue, ${utc(of.dueAt)}`}
              />
            ) : (
              utc(of.dueAt)
            ),
          ],
          ['Asked by', shortRef(of.requestedBy)],
          [
            'Erasure asked for by',
            of.erasureRequestedBy && shortRef(of.erasureRequestedBy),
          ],
          ['Confirmed by', of.confirmedBy && shortRef(of.confirmedBy)],
          [
            'Finished',
            of.finishedAt && <Time key="finished" at={of.finishedAt} />,
          ],
        ]}
      />
      {of.message && <Text>{of.message}</Text>}
      <Found of={of} />
      <Offers
        of={of.actions.filter(({ action }) => AT[action]?.includes(of.state))}
        names={STEPS}
        choose={setStep}
      />
      {of.certificate && <Certificate id={of.certificate} />}
      {step && (
        <Decide
          of={of}
          step={step}
          close={() => {
            setStep(undefined);
            done();
          }}
        />
      )}
    </Flex>
  );
};

const Found = ({ of }: { of: WholeSubjectRequest }) => (
  <>
    {of.findings.length > 0 && (
      <Grid
        caption="Where the person is"
        head={['Kind', 'Where', 'Found', 'Left', 'State']}
        rows={of.findings.map(one => [
          words(one.kind),
          <span key="where" style={LONG}>
            {one.location}
          </span>,
          one.found,
          one.remaining ?? '—',
          <span key="state">
            {of.confirmedBy && one.found > 0 && <State of={one.state} />}{' '}
            {one.reason}
          </span>,
        ])}
      />
    )}
    {of.state === 'nothing_found' && (
      <Nothing what="The person was found nowhere." />
    )}
    {of.models.length > 0 && (
      <Grid
        caption="Models that know of the person: what was trained stays trained until it is trained anew"
        head={['Model', 'Version', 'Use', 'Data', 'In use']}
        rows={of.models.map(one => [
          one.model,
          `v${one.version}`,
          one.use === 'trained' ? 'was trained on it' : 'scores it',
          one.datasets.join(', '),
          inUse(one),
        ])}
      />
    )}
    {of.found > 0 && of.models.length === 0 && (
      <Nothing what="No version was trained on data with the person." />
    )}
  </>
);

function inUse({
  inUse: live,
  deleted,
}: WholeSubjectRequest['models'][number]): string {
  if (deleted) {
    return 'deleted';
  }
  return live ? 'yes' : 'no';
}

const Decide = ({
  of,
  step,
  close,
}: {
  of: WholeSubjectRequest;
  step: string;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const at = `/privacy/subject-requests/${of.id}`;
  const places = of.findings.filter(({ found }) => found > 0).length;
  return step === 'erase' ? (
    <Confirm
      title="Ask for the erasure?"
      verb="Ask"
      reason="required"
      act={reason => api.post(`${at}/erasure`, { reason }, key)}
      close={close}
    >
      Somebody else has to confirm it. Until then nothing is changed.
    </Confirm>
  ) : (
    <Confirm
      title="Erase the person?"
      verb="Erase"
      destructive
      reason="required"
      act={reason => api.post(`${at}/confirmation`, { reason }, key)}
      close={close}
    >
      What was found in {places} {places === 1 ? 'place' : 'places'} is erased
      at once: rows, samples and lines of logs are removed, and the person's
      keys are destroyed. It can't be taken back. Everything is searched again,
      and a certificate is signed.
    </Confirm>
  );
};
