import { Button, Flex, Text } from '@backstage/ui';

import { Action } from '../api/types';
import { sentences } from './State';

/** What ends something is never what a page suggests. */
const ENDING = ['revoke', 'close'];

/** Buttons for what can be done; what the caller may not do is shown with the reason. */
export const Offers = ({
  of,
  names,
  choose,
}: {
  of: Action[];
  /** What stands on the button of each action; what has no name has no button. */
  names: Record<string, string>;
  choose: (action: string) => void;
}) => {
  const shown = of.filter(({ action }) => action in names);
  const reasons = new Set(
    shown
      .filter(({ allowed }) => !allowed)
      .map(({ reason, fix }) => sentences(reason, fix)),
  );
  return shown.length === 0 ? null : (
    <Flex direction="column" gap="1">
      <Flex gap="2" style={{ flexWrap: 'wrap' }}>
        {shown.map(({ action, allowed }, index) => (
          <Button
            key={action}
            size="small"
            variant={
              index === 0 && !ENDING.includes(action) ? 'primary' : 'secondary'
            }
            isDisabled={!allowed}
            onPress={() => choose(action)}
          >
            {names[action]}
          </Button>
        ))}
      </Flex>
      {[...reasons].map(reason => (
        <Text key={reason} variant="body-small" color="secondary">
          {reason}
        </Text>
      ))}
    </Flex>
  );
};
