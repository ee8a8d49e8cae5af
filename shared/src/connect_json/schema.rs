use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::payload::{self, Rules};
use super::{ConvertError, Value};

/// A Connect schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    pub kind: Type,
    pub optional: bool,
    pub name: Option<String>,
    pub version: Option<i32>,
    pub parameters: BTreeMap<String, String>,
    pub default: Option<Value>,
    /// What `name` says about the value; it overrules `kind`.
    pub logical: Option<Logical>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array(Box<Schema>),
    Map {
        keys: Box<Schema>,
        values: Box<Schema>,
    },
    Struct(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub schema: Schema,
}

/// The logical types that the converter itself knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logical {
    /// Without a scale (a parameter) the schema is accepted and every value refused.
    Decimal {
        scale: Option<i32>,
    },
    Date,
    Time,
    Timestamp,
}

impl Type {
    /// As Kafka's messages spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array(_) => "ARRAY",
            Self::Map { .. } => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }
}

impl Schema {
    /// A schema of this type that is not optional and has nothing else to say.
    pub fn required(kind: Type) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            parameters: BTreeMap::new(),
            default: None,
            logical: None,
        }
    }

    /// Fields of a struct; none for any other type.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Type::Struct(fields) => fields,
            _ => &[],
        }
    }

    pub(super) fn parse(json: &str, rules: Rules) -> Result<Self, ConvertError> {
        Self::from_json(&serde_json::from_str(json)?, rules)
    }

    fn from_json(json: &Json, rules: Rules) -> Result<Self, ConvertError> {
        let no_type = || ConvertError::data("Schema must contain 'type' field");
        let json = json.as_object().ok_or_else(no_type)?;
        let kind = json
            .get("type")
            .and_then(Json::as_str)
            .ok_or_else(no_type)?;
        let mut schema = Self::required(kind_from_json(kind, json, rules)?);
        schema.optional = json.get("optional") == Some(&Json::Bool(true));
        schema.name = json.get("name").and_then(Json::as_str).map(str::to_owned);
        schema.version = json
            .get("version")
            .and_then(Json::as_i64)
            .and_then(|v| i32::try_from(v).ok());
        schema.parameters = parameters_from_json(json.get("parameters"))?;
        schema.logical = schema
            .name
            .as_deref()
            .and_then(|name| logical(name, &schema.parameters));
        if let Some(default) = json.get("default") {
            schema.default = Some(payload::convert(&schema, &default.to_string(), rules)?);
        }
        Ok(schema)
    }
}

fn kind_from_json(
    kind: &str,
    json: &Map<String, Json>,
    rules: Rules,
) -> Result<Type, ConvertError> {
    let part = |name: &str, missing: &str| match json.get(name) {
        None | Some(Json::Null) => Err(ConvertError::data(missing)),
        Some(part) => Schema::from_json(part, rules).map(Box::new),
    };
    Ok(match kind {
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float" => Type::Float32,
        "double" => Type::Float64,
        "boolean" => Type::Boolean,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "array" => Type::Array(part(
            "items",
            "Array schema did not specify the element type",
        )?),
        "map" => Type::Map {
            keys: part("keys", "Map schema did not specify the key type")?,
            values: part("values", "Map schema did not specify the value type")?,
        },
        "struct" => Type::Struct(fields_from_json(json.get("fields"), rules)?),
        other => return Err(ConvertError::data(format!("Unknown schema type: {other}"))),
    })
}

fn fields_from_json(json: Option<&Json>, rules: Rules) -> Result<Vec<Field>, ConvertError> {
    let fields = json.and_then(Json::as_array).ok_or_else(|| {
        ConvertError::data("Struct schema's \"fields\" argument is not an array.")
    })?;
    let field = |json: &Json| {
        let name = json.get("field").and_then(Json::as_str).ok_or_else(|| {
            ConvertError::data("Struct schema's field name not specified properly")
        })?;
        Ok(Field {
            name: name.to_owned(),
            schema: Schema::from_json(json, rules)?,
        })
    };
    fields.iter().map(field).collect()
}

fn parameters_from_json(json: Option<&Json>) -> Result<BTreeMap<String, String>, ConvertError> {
    let parameter = |(name, value): (&String, &Json)| match value {
        Json::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(ConvertError::data(
            "Schema parameters must have string values.",
        )),
    };
    json.and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(parameter)
        .collect()
}

fn logical(name: &str, parameters: &BTreeMap<String, String>) -> Option<Logical> {
    match name.strip_prefix("org.apache.kafka.connect.data.")? {
        "Decimal" => {
            let scale = parameters.get("scale").and_then(|scale| scale.parse().ok());
            Some(Logical::Decimal { scale })
        }
        "Date" => Some(Logical::Date),
        "Time" => Some(Logical::Time),
        "Timestamp" => Some(Logical::Timestamp),
        _ => None,
    }
}
