import { Container, Flex, Header } from '@backstage/ui';

import { Requests } from './Requests';
import { SurveyCard } from './SurveyCard';

/** Where the platform team is asked, and where people say how satisfied they are. */
export const SupportPage = () => (
  <>
    <Header title="Support" />
    <Container>
      <Flex direction="column" gap="4" pb="6">
        <Requests />
        <SurveyCard />
      </Flex>
    </Container>
  </>
);
