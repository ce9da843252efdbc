import { Container, Flex, Header, Select, Text } from '@backstage/ui';
import { useState } from 'react';

import { useGet } from '../api/hooks';
import { Control, Framework } from '../api/types';
import { Section, Show } from '../components/Section';
import { AuditLog } from './AuditLog';
import { Controls } from './Controls';
import { Datasets } from './Datasets';
import { Evidence } from './Evidence';
import { Waivers } from './Waivers';

const FIRST = 'soc2';

/** How the platform stands to its controls, what is let pass, and how sensitive data is. */
export const CompliancePage = () => {
  const frameworks = useGet<Framework[]>('/compliance/frameworks', 30);
  const [name, setName] = useState(FIRST);
  return (
    <>
      <Header title="Compliance" />
      <Container>
        <Flex direction="column" gap="4" pb="6">
          <Section
            title="Controls"
            actions={
              <Select
                aria-label="Framework"
                size="small"
                options={(frameworks.data ?? []).map(one => ({
                  id: one.name,
                  label: one.title,
                }))}
                value={name}
                onChange={chosen => setName(String(chosen))}
              />
            }
          >
            <Show loaded={frameworks}>
              {found => <Summary of={found.find(one => one.name === name)!} />}
            </Show>
          </Section>
          <Section title="Waivers">
            <Waivers
              path="/compliance/waivers?limit=20"
              none="No finding is waived."
            />
          </Section>
          <Section title="Data sets">
            <Datasets />
          </Section>
          <Evidence />
          <AuditLog />
        </Flex>
      </Container>
    </>
  );
};

const Summary = ({ of }: { of: Framework }) => {
  const controls = useGet<Control[]>(
    `/compliance/frameworks/${of.name}/controls`,
    30,
  );
  return (
    <Flex direction="column" gap="3">
      <Text>
        {of.passing} pass, {of.failing} fail, {of.notEvaluated} have nothing to
        look at yet, {of.outside} are shown outside of the platform.
      </Text>
      <Text variant="body-small" color="secondary">
        {of.source}
      </Text>
      <Show loaded={controls}>{found => <Controls of={found} />}</Show>
    </Flex>
  );
};
