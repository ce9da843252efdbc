import { Accordion, AccordionPanel, AccordionTrigger } from '@backstage/ui';
import { ReactNode, useState } from 'react';

/** A line that opens to more; what is inside is not made, and asks for nothing, until then. */
export const Details = ({
  title,
  subtitle,
  children,
}: {
  title: string;
  subtitle: string;
  children: () => ReactNode;
}) => {
  const [opened, setOpened] = useState(false);
  return (
    <Accordion onExpandedChange={open => setOpened(before => before || open)}>
      <AccordionTrigger title={title} subtitle={subtitle} />
      <AccordionPanel>{opened && children()}</AccordionPanel>
    </Accordion>
  );
};
