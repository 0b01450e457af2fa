import { byId } from './dom.js';

const EXPLANATIONS = {
  streaming: () => '',
  idle: () => '',
  connecting: () => '',
  standby: ({ heldBy }) => `Another process holds the slot (${heldBy}). This one takes over when it is gone.`,
  'backing-off': ({ reason }) => `${reason} — nothing is lost: the slot keeps what is committed meanwhile.`,
  halted: ({ reason }) => reason,
  stopped: () => 'The listener has stopped.',
  unreachable: () => 'The application does not answer. This page comes back by itself.',
};

/** The state of the listener, or that of the way to it. */
export function showStatus(status) {
  const { state } = status;
  byId('status').dataset.state = state;
  byId('status-text').textContent = state;
  const text = EXPLANATIONS[state]?.(status) ?? '';
  byId('notice').textContent = text;
  byId('notice').hidden = text === '';
  byId('notice').dataset.state = state;
}
