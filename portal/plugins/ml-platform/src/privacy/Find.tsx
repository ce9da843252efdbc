import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Text, TextAreaField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { Confirm } from '../components/Confirm';
import { identifiersOf } from './identifiers';

/** Asks what a person goes by. It is sent once, and is nowhere when the dialog is gone. */
export const Find = ({ close }: { close: () => void }) => {
  const api = useApi(platformApiRef);
  const [text, setText] = useState('');
  const identifiers = identifiersOf(text);
  return (
    <Confirm
      title="Find a person?"
      verb="Find"
      otherwise="Cancel"
      ready={identifiers.length > 0}
      reason="required"
      reasonLabel="Reason, which must not name the person"
      act={reason =>
        api.post('/privacy/subject-requests', { identifiers, reason })
      }
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          Everything that the platform holds is searched; nothing is changed. Of
          what you write only keyed hashes are kept.
        </Text>
        <TextAreaField
          label="What the person goes by"
          description="One a line: e-mail address, customer number, full name, each spelling by itself."
          value={text}
          onChange={setText}
          isRequired
          rows={4}
          // Neither the browser nor a spelling service is to remember it.
          autoComplete="off"
          spellCheck="false"
        />
      </Flex>
    </Confirm>
  );
};
