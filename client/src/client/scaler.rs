//! What the client asks of ScalerService.

use std::collections::BTreeMap;

use loadcast_proto::v1 as pb;
use loadcast_proto::v1::scaler_service_client::ScalerServiceClient;
use tracing::Instrument;

use super::{Client, MAX_ANSWER_BYTES, Traced};
use crate::error::Error;
use crate::types::scaler::{Explanation, ScalerDecision};
use crate::types::series::Selector;

/// [`Client::scaler_decisions`] gives up beyond this many.
const MAX_DECISIONS: usize = 1_000_000;

impl Client {
    /// What a trigger with `metadata` would be told now, and how that comes about. Changes nothing.
    ///
    /// # Errors
    /// As [`Client::forecast`]; metadata that cannot be read is no error, see [`Explanation::meaning`].
    pub async fn explain_trigger(
        &self,
        metadata: BTreeMap<String, String>,
    ) -> Result<Explanation, Error> {
        let request = pb::ExplainTriggerRequest { metadata };
        let request = self.request(request, self.call_deadline);
        let mut service = self.scaler_service();
        let answer = self
            .call(self.call_deadline, service.explain_trigger(request))
            .instrument(tracing::info_span!("explain_trigger"))
            .await?;
        answer.try_into()
    }

    /// What was told to every trigger that asked about a series of `selector`, newest only; asks for page after page.
    ///
    /// # Errors
    /// As [`Client::forecast`]; [`Error::Protocol`] when the pages do not end.
    pub async fn scaler_decisions(
        &self,
        selector: &Selector,
    ) -> Result<Vec<ScalerDecision>, Error> {
        let mut decisions = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListScalerDecisionsRequest {
                selector: Some(selector.clone().into()),
                page_token: page_token.clone(),
                ..pb::ListScalerDecisionsRequest::default()
            };
            let request = self.request(request, self.call_deadline);
            let mut service = self.scaler_service();
            let page = self
                .call(self.call_deadline, service.list_scaler_decisions(request))
                .instrument(tracing::info_span!("scaler_decisions"))
                .await?;
            for decision in page.decisions {
                let field = format!("decisions[{}]", decisions.len());
                let decision = ScalerDecision::try_from(decision);
                decisions.push(decision.map_err(|error| error.within(&field))?);
            }
            if page.next_page_token.is_empty() {
                return Ok(decisions);
            }
            if page.next_page_token == page_token || decisions.len() > MAX_DECISIONS {
                return Err(Error::protocol("next_page_token", "the pages do not end"));
            }
            page_token = page.next_page_token;
        }
    }

    fn scaler_service(&self) -> ScalerServiceClient<Traced> {
        ScalerServiceClient::with_interceptor(self.channel.clone(), self.trace.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}
