//! Where SAEs are trained: on this CPU by our own kernels, or on a device that candle has, by its dense products.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::{Code, Error, Result};

/// A device by its name on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// `cpu`
    #[default]
    Cpu,
    /// `cuda:N`
    Cuda(usize),
    /// `metal:N`
    Metal(usize),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<DeviceName, String> {
        let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
        match (kind, number.parse()) {
            ("cpu", _) if kind == name => Ok(DeviceName::Cpu),
            ("cuda", Ok(number)) => Ok(DeviceName::Cuda(number)),
            ("metal", Ok(number)) => Ok(DeviceName::Metal(number)),
            _ => Err("expected cpu, cuda:0 or metal:0".to_string()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Cpu => write!(f, "cpu"),
            DeviceName::Cuda(number) => write!(f, "cuda:{number}"),
            DeviceName::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

impl DeviceName {
    /// The device, or none for the CPU, which needs none.
    ///
    /// # Errors
    /// `unsupported` when this build has no such devices, or the machine none of this number.
    pub fn open(self) -> Result<Option<Device>> {
        let (opened, feature, built) = match self {
            DeviceName::Cpu => return Ok(None),
            DeviceName::Cuda(number) => (Device::new_cuda(number), "cuda", cfg!(feature = "cuda")),
            DeviceName::Metal(number) => (Device::new_metal(number), "metal", cfg!(feature = "metal")),
        };
        opened.map(Some).map_err(|error| {
            let error =
                Error::new(Code::Unsupported, format!("the device `{self}` is not there")).fact("reason", error);
            let help = format!("build with `--features {feature}`, or leave `--device` out");
            if built { error } else { error.help(help) }
        })
    }
}
