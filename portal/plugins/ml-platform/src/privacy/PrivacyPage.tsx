import { Container, Flex, Header } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { Action, Page } from '../api/types';
import { Section } from '../components/Section';
import { Certificates } from './Certificates';
import { Holds } from './Holds';
import { Retention } from './Retention';
import { SubjectRequests } from './SubjectRequests';

/** People's data: who asked to be found or forgotten, what must be kept, and what was deleted. */
export const PrivacyPage = () => {
  const actions = useGet<Page<Action>>('/privacy/actions', 60);
  const action = (name: string) =>
    actions.data?.items.find(one => one.action === name);
  return (
    <>
      <Header title="Privacy" />
      <Container>
        <Flex direction="column" gap="4" pb="6">
          <SubjectRequests find={action('find')} />
          <Holds hold={action('hold')} />
          <Retention start={action('delete')} />
          <Section title="Deletion certificates">
            <Certificates />
          </Section>
        </Flex>
      </Container>
    </>
  );
};
