//! Skills that a server offers (SEP-2640): instructions for a model, in files with digests.
//!
//! A listing names each file with its size and its digest, and repeats the header of `SKILL.md`.
//! Nothing is read before somebody wants it, and what is read is used only when it is byte for byte
//! what the listing promised.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{Skill, SkillResources};
use serde::Deserialize;
use serde_json::Value;

/// The name of the extension.
pub(crate) const EXTENSION: &str = rmcp::model::SKILLS_EXTENSION_ID;

/// The longest header of a `SKILL.md`.
const MAX_HEADER: usize = 64 * 1024;

/// A skill on offer.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillEntry {
    skill: Skill,
    /// The header as the listing has it.
    header: Value,
}

/// Why what was read of a skill is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkillFault {
    /// The listing does not name the file.
    #[error("the skill has no file `{0}`")]
    NotListed(String),
    /// The server gives no digests.
    #[error("its server gives no digests for its files, so that nothing proves what they are")]
    NoDigests,
    /// The answer is not this one file.
    #[error("the server did not answer with the file `{0}`")]
    OtherAnswer(String),
    /// Size or digest are others.
    #[error("{0}")]
    Altered(String),
    /// `SKILL.md` says something else about itself than the listing.
    #[error("the header of its `SKILL.md` is not the one that the server listed")]
    OtherHeader,
}

impl SkillEntry {
    /// Reads one entry of a listing; the sentence says which rule it breaks.
    pub fn read(entry: &Value) -> Result<Self, String> {
        let skill = Skill::deserialize(entry).map_err(|error| error.to_string())?;
        skill.validate().map_err(|error| error.to_string())?;
        let header = entry["frontmatter"].clone();
        Ok(Self { skill, header })
    }

    /// Returns the address of its `SKILL.md`, which is its name for the server.
    pub fn uri(&self) -> &str {
        &self.skill.uri
    }

    /// Returns its name; another server may have one of the same name.
    pub fn name(&self) -> &str {
        self.skill.name()
    }

    /// Returns what it is for; untrusted text.
    pub fn description(&self) -> &str {
        &self.skill.frontmatter.description
    }

    /// Returns the addresses of its files; none when the server gives no digests.
    pub fn files(&self) -> Vec<&str> {
        match &self.skill.resources {
            SkillResources::Files(files) => files.iter().map(|file| file.uri.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Says whether a file may be asked for.
    pub fn check_listed(&self, file: &str) -> Result<(), SkillFault> {
        match &self.skill.resources {
            SkillResources::Files(files) if files.iter().any(|known| known.uri == file) => Ok(()),
            SkillResources::Files(_) => Err(SkillFault::NotListed(file.to_owned())),
            _ => Err(SkillFault::NoDigests),
        }
    }

    /// Checks what a server answered to `resources/read` of a file; returns its one content.
    pub fn verified(&self, file: &str, answer: &Value) -> Result<Value, SkillFault> {
        self.check_listed(file)?;
        let SkillResources::Files(files) = &self.skill.resources else {
            return Err(SkillFault::NoDigests);
        };
        let other = || SkillFault::OtherAnswer(file.to_owned());
        let [content] = answer["contents"].as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(other());
        };
        if content["uri"] != file {
            return Err(other());
        }
        let bytes = match (content["text"].as_str(), content["blob"].as_str()) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(blob)) => STANDARD.decode(blob).map_err(|_| other())?,
            _ => return Err(other()),
        };
        let listed = files.iter().find(|known| known.uri == file);
        let listed = listed.ok_or_else(|| SkillFault::NotListed(file.to_owned()))?;
        let altered =
            |error: rmcp::model::SkillIntegrityError| SkillFault::Altered(error.to_string());
        listed.verify(&bytes).map_err(altered)?;
        if file == self.skill.uri && header(&bytes).as_ref() != Some(&self.header) {
            return Err(SkillFault::OtherHeader);
        }
        Ok(content.clone())
    }
}

/// Reads the YAML between the two `---` lines at the begin of a `SKILL.md`.
fn header(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split_inclusive('\n');
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    let mut yaml = String::new();
    for line in lines {
        if line.trim_end() == "---" {
            return serde_saphyr::from_str(&yaml).ok();
        }
        yaml.push_str(line);
        if yaml.len() > MAX_HEADER {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rmcp::model::SkillResource;
    use serde_json::json;

    use super::*;

    const URI: &str = "skill://pdf/SKILL.md";
    const TEXT: &str =
        "---\nname: pdf\ndescription: 'Reads: PDF'\nmetadata:\n  version: 2\n---\nBody.\n";

    fn entry(text: &str) -> Value {
        json!({
            "uri": URI,
            "frontmatter": {"name": "pdf", "description": "Reads: PDF", "metadata": {"version": 2}},
            "resources": [SkillResource::from_bytes(URI, text.as_bytes())],
        })
    }

    fn answer(uri: &str, text: &str) -> Value {
        json!({"contents": [{"uri": uri, "text": text}]})
    }

    fn judged(listed: &str, answer: &Value) -> Result<Value, SkillFault> {
        SkillEntry::read(&entry(listed))
            .unwrap()
            .verified(URI, answer)
    }

    #[test]
    fn what_was_promised_is_used_as_text_and_as_bytes() {
        let text = answer(URI, TEXT);
        assert_eq!(judged(TEXT, &text), Ok(text["contents"][0].clone()));
        let bytes = json!({"contents": [{"uri": URI, "blob": STANDARD.encode(TEXT)}]});
        assert_eq!(judged(TEXT, &bytes), Ok(bytes["contents"][0].clone()));
    }

    #[test]
    fn another_byte_another_length_or_another_header_is_not_used() {
        let evil = TEXT.replace("Body", "Evil");
        assert!(matches!(
            judged(TEXT, &answer(URI, &evil)),
            Err(SkillFault::Altered(_))
        ));
        let longer = format!("{TEXT}more");
        assert!(matches!(
            judged(TEXT, &answer(URI, &longer)),
            Err(SkillFault::Altered(_))
        ));
        for (from, to) in [
            ("Reads: PDF", "Sends your keys"),
            ("version: 2", "version: '2'"),
            ("---\nBody", "allowed-tools: all\n---\nBody"),
            ("name: pdf\n", "name: pdf\nname: pdf\n"),
            ("---\nname", "name"),
            ("\n---\nBody.", "\nBody."),
        ] {
            let other = TEXT.replacen(from, to, 1);
            let judged = judged(&other, &answer(URI, &other));
            assert_eq!(judged, Err(SkillFault::OtherHeader), "{other}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_not_used() {
        let two = json!({"contents": [{"uri": URI, "text": TEXT}, {"uri": URI, "text": TEXT}]});
        let both = json!({"contents": [{"uri": URI, "text": TEXT, "blob": ""}]});
        for odd in [
            two,
            both,
            answer("skill://x/SKILL.md", TEXT),
            json!({}),
            json!(null),
        ] {
            let judged = judged(TEXT, &odd);
            assert_eq!(
                judged,
                Err(SkillFault::OtherAnswer(URI.to_owned())),
                "{odd}"
            );
        }
    }

    #[test]
    fn files_that_are_not_listed_are_not_asked_for() {
        let skill = SkillEntry::read(&entry(TEXT)).unwrap();
        let fault = skill.check_listed("skill://pdf/x.md");
        assert_eq!(
            fault,
            Err(SkillFault::NotListed("skill://pdf/x.md".to_owned()))
        );
        let mut dynamic = entry(TEXT);
        dynamic["resources"] = json!("dynamic");
        let skill = SkillEntry::read(&dynamic).unwrap();
        assert_eq!(skill.check_listed(URI), Err(SkillFault::NoDigests));
        assert_eq!((skill.name(), skill.files()), ("pdf", Vec::new()));
    }

    #[test]
    fn an_entry_that_breaks_a_rule_is_told() {
        let mut outside = entry(TEXT);
        outside["resources"][0]["uri"] = json!("skill://other/SKILL.md");
        let mut renamed = entry(TEXT);
        renamed["frontmatter"]["name"] = json!("docx");
        for broken in [outside, renamed, json!({}), json!("skill")] {
            assert!(SkillEntry::read(&broken).is_err(), "{broken}");
        }
    }
}
