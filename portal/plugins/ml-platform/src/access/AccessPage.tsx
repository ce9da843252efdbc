import { Container, Flex, Header } from '@backstage/ui';

import { Section } from '../components/Section';
import { Asking } from './Asking';
import { Duties } from './Duties';
import { Grants } from './Grants';
import { MyReview } from './MyReview';
import { Reviews } from './Reviews';

/** Who may do what: what waits for one's review, access for a time, reviews, and who did alone what takes two. */
export const AccessPage = () => (
  <>
    <Header title="Access" />
    <Container>
      <Flex direction="column" gap="4" pb="6">
        <Section title="My review">
          <MyReview />
        </Section>
        <Section title="May I?">
          <Asking />
        </Section>
        <Grants />
        <Reviews />
        <Duties />
      </Flex>
    </Container>
  </>
);
