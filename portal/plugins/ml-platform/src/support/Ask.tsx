import { useApi } from '@backstage/frontend-plugin-api';
import { Flex, Select, Text, TextField } from '@backstage/ui';
import { useRef, useState } from 'react';

import { platformApiRef } from '../api/client';
import { Confirm } from '../components/Confirm';

const PRIORITIES = {
  P0: 'P0: production is down, or data is at risk',
  P1: "P1: I can't ship",
  P2: 'P2: something is in the way',
  P3: 'P3: a question or a wish',
};
const SHORTEST_TITLE = 3;

/** Asks the platform team something. */
export const Ask = ({ close }: { close: () => void }) => {
  const api = useApi(platformApiRef);
  const sent = useRef({ text: '', key: '' });
  const [priority, setPriority] = useState('P3');
  const [title, setTitle] = useState('');
  const [entity, setEntity] = useState('');
  return (
    <Confirm
      title="Ask the platform team"
      verb="Ask"
      otherwise="Cancel"
      ready={title.trim().length >= SHORTEST_TITLE}
      reason="required"
      reasonLabel="What it is about"
      act={about => {
        const wish = {
          priority,
          title: title.trim(),
          text: about,
          entityRef: entity.trim() || null,
        };
        const text = JSON.stringify(wish);
        if (sent.current.text !== text) {
          // What was changed after an error is another request.
          sent.current = { text, key: crypto.randomUUID() };
        }
        return api.post('/support/requests', wish, sent.current.key);
      }}
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          Everybody who is signed in reads it. Personal data and secrets in it
          are redacted.
        </Text>
        <Select
          label="Priority"
          options={Object.entries(PRIORITIES).map(([id, label]) => ({
            id,
            label,
          }))}
          value={priority}
          onChange={value => setPriority(String(value))}
        />
        <TextField
          label="In a line"
          value={title}
          onChange={setTitle}
          maxLength={200}
          isRequired
        />
        <TextField
          label="Catalog entity"
          description="If it is about one: component:default/name, for example."
          value={entity}
          onChange={setEntity}
        />
      </Flex>
    </Confirm>
  );
};
