import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text, TextField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { Wishes } from '../api/types';
import { Confirm } from '../components/Confirm';

/** What is asked for. */
export interface Wish {
  action: string;
  scope: string;
  purpose: string | null;
}

const SHORTEST_REASON = 8;

/** Asks for access for a time, or takes it in an emergency. */
export const Ask = ({
  wish,
  wishes,
  emergency,
  close,
}: {
  wish: Wish;
  wishes: Wishes;
  emergency: boolean;
  close: () => void;
}) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [duration, setDuration] = useState(emergency ? '1h' : '1d');
  const [principal, setPrincipal] = useState('');
  const what = `${wish.action} ${wish.scope}${
    wish.purpose ? ` for ${wish.purpose}` : ''
  }`;
  return (
    <Confirm
      title={emergency ? `Break the glass to ${what}?` : `Ask to ${what}?`}
      verb={emergency ? 'Break the glass' : 'Ask'}
      destructive={emergency}
      otherwise="Cancel"
      ready={duration.trim().length > 0}
      reason="required"
      shortest={SHORTEST_REASON}
      act={reason =>
        api.post(
          emergency ? '/access/break-glass' : '/access/grants',
          {
            ...wish,
            reason,
            duration: duration.trim(),
            principal: principal.trim() || null,
          },
          `${key}-${duration}-${principal}`,
        )
      }
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          {emergency
            ? 'You may at once. Everybody sees that you took it, and somebody else looks at it afterwards.'
            : 'The owner decides; until then nothing changes. Once it is approved the time begins, and it ends by itself.'}
        </Text>
        <TextField
          label="For how long"
          description={`Such as 4h or 2d; at most ${
            emergency ? wishes.longestBreakGlass : wishes.longest
          }.`}
          value={duration}
          onChange={setDuration}
          isRequired
        />
        {!emergency && (
          <TextField
            label="For whom"
            description="If not for you: user:default/name, repository:host/name or service:name."
            value={principal}
            onChange={setPrincipal}
          />
        )}
      </Flex>
    </Confirm>
  );
};
