import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { ReviewItem } from '../api/types';
import { Confirm } from '../components/Confirm';
import { Offers } from '../components/Offers';
import { sentences, State } from '../components/State';
import { shortRef } from '../model';
import { consequence, permission } from './said';

/** A permission in a review, with the buttons that decide about it. */
export const Item = ({ of, done }: { of: ReviewItem; done: () => void }) => {
  const [decision, setDecision] = useState<string>();
  return (
    <Flex direction="column" gap="1" style={{ overflowWrap: 'anywhere' }}>
      <Text as="h3" weight="bold">
        {permission(of)} <State of={of.state} />
      </Text>
      <Text variant="body-small" color="secondary">
        {sentences(
          `Reviewed by ${shortRef(of.owner)}`,
          of.decidedBy &&
            `${of.state[0].toUpperCase()}${of.state.slice(1)} by ${shortRef(
              of.decidedBy,
            )}${of.comment ? `: ${of.comment}` : ''}`,
          of.exception && `Still to be done: ${of.exception}`,
        )}
      </Text>
      {of.state === 'pending' && (
        <Offers
          of={of.actions}
          names={{ confirm: 'Confirm…', revoke: 'Revoke…' }}
          choose={setDecision}
        />
      )}
      {decision && (
        <Decide
          of={of}
          confirmed={decision === 'confirm'}
          close={() => {
            setDecision(undefined);
            done();
          }}
        />
      )}
    </Flex>
  );
};

const Decide = ({
  of,
  confirmed,
  close,
}: {
  of: ReviewItem;
  confirmed: boolean;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const verb = confirmed ? 'Confirm' : 'Revoke';
  return (
    <Confirm
      title={`${verb} that ${permission(of)}?`}
      verb={verb}
      destructive={!confirmed}
      reason={confirmed ? 'optional' : 'required'}
      reasonLabel="Comment"
      act={comment =>
        api.post(
          `/access/review-items/${of.id}/${verb.toLowerCase()}`,
          { comment },
          key,
        )
      }
      close={close}
    >
      {confirmed
        ? 'You say that it is still needed. It stays until the next review.'
        : consequence(of)}
    </Confirm>
  );
};
