import { Alert } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { Verification } from '../api/types';

/** Says whether the audit log is whole, from a check of all of it. */
export const LogState = () => {
  const check = useGet<Verification>('/audit/verification');
  if (!check.data) {
    return null;
  }
  const { valid, events, faults } = check.data;
  return valid ? (
    <Alert
      status="success"
      icon
      title={`The log is whole: ${events.toLocaleString(
        'en',
      )} events, each chained to the one before it and signed.`}
    />
  ) : (
    <Alert
      status="danger"
      icon
      title="The log was tampered with"
      description={faults[0]?.message}
    />
  );
};
