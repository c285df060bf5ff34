//! What becomes of messages, and who is told: held lines go to outboxes, acknowledged ones are
//! forgotten, others dropped with the id that they were held for.

use super::{BAD_ID, Hub, Refusal, Sender, refuse};
use crate::chat::clients::Urgency;
use crate::chat::owners::{Fate, Holder, OwnerToken, Sent};
use crate::chat::protocol::{ErrorCode, Id, MidList, Mids, ToClient};
use crate::limits::{LIST_MAX, TABLE_CAPACITY_MIN};
use crate::memory::tighten;
use crate::time::Now;
use crate::token::Token;

impl Hub {
    /// Messages of `to` have reached the page of `from`.
    pub(super) fn ack(
        &mut self,
        from: &Sender,
        to: &str,
        mids: &MidList<'_>,
        now: Now,
    ) -> Result<(), Refusal> {
        if !Id::is_valid(to) {
            return refuse(ErrorCode::BadId, BAD_ID);
        }
        let mut said = 0;
        let counts = mids.counts(self.mid.prefix).inspect(|_| said += 1).flatten();
        match from.owner {
            Some(owner) => {
                let mut fates = std::mem::take(&mut self.fates);
                self.owners.acknowledge(owner, to, counts, &mut fates);
                let said = (fates.len() == said).then_some(mids);
                self.report_fates(&from.id, &mut fates, Fate::Delivered, said, now);
                fates.clear();
                self.fates = fates;
            }
            None => {
                // Nobody knows what was sent to an id without a key but the sender itself.
                let Some(&holder) = self.ids.get(to) else { return Ok(()) };
                if let Holder::Owner(sender) = holder {
                    counts.for_each(|mid| {
                        self.owners.record_fate(sender, &from.id, mid, Fate::Delivered)
                    });
                }
                // Nobody has to be told by a stranger: what does not fit is dropped, as a signal
                // is.
                if let Some(token) = self.token_of(holder)
                    && !self.blocked(holder).is_some_and(|blocked| blocked.contains(&from.id))
                {
                    let line = ToClient::Delivered { from: &from.id, mids: Mids::List(mids) };
                    self.push(token, &line, Urgency::Yielding, now);
                }
            }
        }
        Ok(())
    }

    /// Moves held lines to the outbox of their client, as far as they leave half of it free. What
    /// waits there calls for more when it leaves. False: the client is away.
    pub(super) fn push_held(&mut self, owner: OwnerToken) -> bool {
        let Hub { owners, clients, .. } = self;
        owners.offer_lines(owner, |token, line| clients.push(token, line, Urgency::Yielding))
    }

    /// Tells senders, each in as few lines as it takes, what became of their messages to `id`. If
    /// the list of these stands in a line as it is, and all are one sender's, which is how it
    /// almost always is, that is passed on.
    fn report_fates(
        &mut self,
        id: &Id,
        fates: &mut [(Holder, u64)],
        fate: Fate,
        said: Option<&MidList<'_>>,
        now: Now,
    ) {
        let mut counts = std::mem::take(&mut self.counts);
        // Stable, so that each sender's are in order.
        fates.sort_by_key(|(sender, _)| match sender {
            Holder::Client(token) => (0, usize::from(*token)),
            Holder::Owner(owner) => (1, owner.number()),
        });
        for group in fates.chunk_by(|(a, _), (b, _)| a == b) {
            let sender = group[0].0;
            counts.clear();
            counts.extend(group.iter().map(|(_, mid)| *mid));
            if let Holder::Owner(owner) = sender {
                counts.iter().for_each(|mid| self.owners.record_fate(owner, id, *mid, fate));
            }
            let Some(token) = self.token_of(sender) else { continue };
            match said {
                Some(mids) if counts.len() == fates.len() => {
                    self.report(token, id, Mids::List(mids), fate, now);
                }
                _ => self.report_fate(token, id, &counts, fate, now),
            }
        }
        // Of what was dropped with an owned id there may be much, once; of what a line names there
        // is not.
        counts.shrink_to(LIST_MAX);
        self.counts = counts;
    }

    pub(super) fn report_fate(&mut self, to: Token, id: &Id, counts: &[u64], fate: Fate, now: Now) {
        for counts in counts.chunks(LIST_MAX) {
            self.report(to, id, Mids::Counts { prefix: self.mid.prefix, counts }, fate, now);
        }
    }

    fn report(&mut self, to: Token, id: &Id, mids: Mids<'_>, fate: Fate, now: Now) {
        match fate {
            Fate::Open => {}
            Fate::Delivered => {
                let line = ToClient::Delivered { from: id, mids };
                self.push(to, &line, Urgency::Gather(now.instant), now);
            }
            Fate::Expired => {
                self.push(to, &ToClient::Expired { to: id, mids }, Urgency::Now, now);
            }
        }
    }

    /// Tells a client that is back what became of the sends that are remembered.
    pub(super) fn replay_fates(&mut self, token: Token, owner: OwnerToken, now: Now) {
        let settled = self.owners.sends(owner).filter(|sent| sent.fate != Fate::Open);
        let settled: Vec<Sent> = settled.cloned().collect();
        for group in settled.chunk_by(|a, b| a.fate == b.fate && a.to == b.to) {
            let counts: Vec<u64> = group.iter().map(|sent| sent.mid).collect();
            self.report_fate(token, &group[0].to, &counts, group[0].fate, now);
        }
    }

    /// Ends an ownership: what is held is dropped, and its senders are told.
    pub(super) fn release(&mut self, owner: OwnerToken, now: Now) {
        let Some(mut released) = self.owners.release(owner) else { return };
        self.ids.remove(&released.id);
        tighten(&mut self.ids, TABLE_CAPACITY_MIN);
        self.blocked_total -= released.blocked;
        if released.appeared_online {
            self.presence.changed(&released.id, false);
        }
        self.report_fates(&released.id, &mut released.expired, Fate::Expired, None, now);
    }

    pub(super) fn appear_offline(&mut self, owner: OwnerToken) {
        if let Some(id) = self.owners.id(owner) {
            self.presence.changed(id, false);
        }
    }
}
