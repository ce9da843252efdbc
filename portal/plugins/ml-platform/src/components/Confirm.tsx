import {
  Button,
  Dialog,
  DialogBody,
  DialogFooter,
  DialogHeader,
  Flex,
  Text,
  TextAreaField,
} from '@backstage/ui';
import { ReactNode, useState } from 'react';

import { useAction } from '../api/hooks';
import { Fault } from './Fault';

interface Props {
  title: string;
  /** What will happen, in sentences. */
  children: ReactNode;
  /** The word on the button that does it. */
  verb: string;
  destructive?: boolean;
  /** The word on the button that leaves everything as it is. */
  otherwise?: string;
  /** Whether all that it takes is there. */
  ready?: boolean;
  /** Whether a reason is asked for, and if so whether it may be empty. */
  reason?: 'required' | 'optional';
  reasonLabel?: string;
  /** How many characters a required reason has at least. */
  shortest?: number;
  act: (reason: string) => Promise<unknown>;
  close: () => void;
}

const SHORTEST_REASON = 3;

/** Asks before something is done, and says what that will be. */
export const Confirm = ({
  title,
  children,
  verb,
  destructive,
  otherwise = 'Keep it as it is',
  ready = true,
  reason,
  reasonLabel = 'Reason',
  shortest = SHORTEST_REASON,
  act,
  close,
}: Props) => {
  const [text, setText] = useState('');
  const { run, busy, error } = useAction(act);
  const missing = reason === 'required' && text.trim().length < shortest;
  return (
    <Dialog isOpen onOpenChange={open => !open && close()} width={520}>
      <DialogHeader>{title}</DialogHeader>
      <DialogBody>
        <Flex direction="column" gap="3">
          {error && <Fault error={error} />}
          <Text as="div">{children}</Text>
          {reason && (
            <TextAreaField
              label={reasonLabel}
              description={
                reason === 'required' && shortest > SHORTEST_REASON
                  ? `At least ${shortest} characters; it is kept in the audit trail.`
                  : 'It is kept in the audit trail.'
              }
              value={text}
              onChange={setText}
              isRequired={reason === 'required'}
              rows={3}
            />
          )}
        </Flex>
      </DialogBody>
      <DialogFooter>
        <Button
          destructive={destructive}
          isPending={busy}
          isDisabled={busy || missing || !ready}
          onPress={async () => {
            if (await run(text.trim())) {
              close();
            }
          }}
        >
          {verb}
        </Button>
        <Button variant="secondary" onPress={close}>
          {otherwise}
        </Button>
      </DialogFooter>
    </Dialog>
  );
};
