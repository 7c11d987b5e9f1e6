//! Dirty bitmaps of block volumes: which blocks were written since.

use crate::Size;

object! {
    /// A bitmap, as `GET .../bitmaps/<bitmap>` describes it. Incus only.
    pub struct StorageVolumeBitmap {
        /// The name.
        pub name: String = "name",
        /// How many bytes were written to since it began, in whole grains.
        pub count: u64 = "count",
        /// The size of a grain, in bytes.
        pub granularity: u64 = "granularity",
        /// Whether it records what is written now.
        pub recording: bool = "recording",
        /// Whether an NBD client or a job holds it at the moment.
        pub busy: bool = "busy",
        /// Whether it outlives the instance's process.
        pub persistent: bool = "persistent",
        /// Whether it was lost on the way, by a crash; all that can be done with it then is to delete it.
        pub inconsistent: bool = "inconsistent",
    }
}

object! {
    /// What `POST .../bitmaps` takes.
    pub struct StorageVolumeBitmapsPost {
        /// The name.
        pub name: String = "name",
        /// The size of a grain, in bytes: a power of two. 0 leaves it to the server.
        pub granularity: u64 = "granularity",
        /// Whether it is to outlive the instance's process.
        pub persistent: bool = "persistent",
        /// Whether it begins without recording.
        pub disabled: bool = "disabled",
    }
}

impl StorageVolumeBitmapsPost {
    /// A bitmap of this name that records from now on and ends with the instance's process.
    ///
    /// ```
    /// let post = lxd_types::StorageVolumeBitmapsPost::new("nightly").persistent();
    /// assert!(post.persistent && !post.disabled);
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Lets it outlive the instance's process.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Sets the size of a grain, a power of two. Default: the server's choice.
    ///
    /// ```
    /// use lxd_types::{Size, StorageVolumeBitmapsPost};
    ///
    /// let post = StorageVolumeBitmapsPost::new("nightly").with_granularity(Size::mib(1)).disabled();
    /// assert_eq!((post.granularity, post.disabled), (1 << 20, true));
    /// ```
    #[must_use]
    pub fn with_granularity(mut self, grain: Size) -> Self {
        self.granularity = grain.bytes();
        self
    }

    /// Lets it begin without recording.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_bitmap_is_read() {
        let text = r#"{"name":"b","count":65536,"granularity":65536,"recording":true,"busy":false,"persistent":true,"inconsistent":false}"#;
        let bitmap: StorageVolumeBitmap = serde_json::from_str(text).unwrap();
        assert_eq!((bitmap.count, bitmap.recording, bitmap.extra.len()), (65_536, true, 0));
        assert_eq!(serde_json::to_string(&bitmap).unwrap(), text);
    }
}
